"""The rule by which `hie vendor check` grades a folder of samples."""

from typing import Final

GRADES: Final = {
    "A": ("every sample that should be is translated, and nothing is warned of but what its golden accepts",
          "mọi mẫu cần dịch đều dịch được, không có cảnh báo ngoài những gì mẫu chuẩn đã chấp nhận"),
    "B": ("every sample that should be is translated; warnings concern the form, nothing is lost or guessed",
          "mọi mẫu cần dịch đều dịch được; cảnh báo chỉ về hình thức, không mất hay suy đoán gì"),
    "C": ("every sample that should be is translated, but something is lost or guessed: an unreadable value, a missing business "
          "key, an unknown facility, an untyped or unread identifier, a dropped repetition, a wrong charset, an event other than its golden says",
          "mọi mẫu cần dịch đều dịch được, nhưng có phần bị mất hoặc phải suy đoán: giá trị không đọc được, thiếu khóa nghiệp vụ, "
          "cơ sở không rõ, định danh không ghi loại hoặc không được đọc, giá trị lặp bị bỏ, sai bảng mã, sự kiện khác mẫu chuẩn"),
    "D": ("some samples are refused or quarantined, and nobody expects that", "một số mẫu bị từ chối hoặc cách ly ngoài dự kiến"),
    "E": ("fewer than half of the samples are translated", "chưa đến một nửa số mẫu dịch được"),
}  # fmt: skip
"""The rule of grading, best first. Samples whose refusal a golden expects do not count, nor warnings that it accepts; nor does what no rule reads, but for numbers of the patient and what repeats where HL7 has one value."""

_NOTHING_LOST: Final = (
    "Nothing is lost: the profile reads it, or no rule needs it. Only its form is not the standard's.",
    "Không mất gì: hồ sơ đọc được, hoặc không quy tắc nào cần. Chỉ hình thức khác chuẩn.",
)
READ_ALL_THE_SAME: Final = {
    "TIME_UNPARSABLE": _NOTHING_LOST,
    "NUMBER_UNPARSABLE": _NOTHING_LOST,
}  # told by the standard's form alone
