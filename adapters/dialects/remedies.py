"""What a vendor does about each problem, in English and Vietnamese: the second half of a finding of `hie vendor check`.

The first half, what is wrong, is the sentence of `hub/contract/errors.py`. A code without a row here is told by that alone.
"""

from typing import Final

_ROWS: Final = (
    ("FRAME_TOO_LARGE", "Send attachments as documents of their own, or split the message.", "Gửi tệp đính kèm riêng hoặc tách bản tin."),
    ("SEVERAL_MESSAGES", "Close each message with 0x1C 0x0D, or send one file a message.", "Kết thúc mỗi bản tin bằng 0x1C 0x0D, hoặc gửi mỗi bản tin một tệp."),
    ("MSH_UNREADABLE", "Begin with MSH|^~\\&| in capitals, without anything before it.", "Bắt đầu bằng MSH|^~\\&| viết hoa, không có gì đứng trước."),
    ("FORMAT_UNKNOWN", "Take files that are no messages out of the folder, or mend their first line.", "Bỏ các tệp không phải bản tin khỏi thư mục, hoặc sửa dòng đầu."),
    ("MESSAGE_CUT", "End each segment with a CR, the last too, and send the message whole; fill OBX-11 in every OBX.", "Kết thúc mọi đoạn bằng CR, kể cả đoạn cuối, gửi trọn bản tin; điền OBX-11 ở mọi OBX."),
    ("EMPTY_INPUT", "Take empty files out of the folder.", "Bỏ các tệp trống khỏi thư mục."),
    ("CHARSET_UNREADABLE", 'State `charset` in the profile (tcvn3, vni, viscii, windows-1258 …), or send UTF-8.', 'Khai `charset` trong hồ sơ (tcvn3, vni, viscii, windows-1258 …), hoặc gửi UTF-8.'),
    ("CHARSET_DECLARED_WRONG", "The text is in {charset}: mend MSH-18. Where it is empty, or the profile names a charset, the profile's line is wrong: write what is used, charset = \"{charset}\", before its first [section]. If messages come in several charsets: charset = \"\", the hub tells each.", "Văn bản theo bảng mã {charset}: sửa MSH-18. Nếu MSH-18 trống, hoặc hồ sơ đã khai bảng mã, thì dòng của hồ sơ sai: ghi đúng bảng mã, charset = \"{charset}\", trước [mục] đầu tiên. Nếu bản tin dùng nhiều bảng mã: charset = \"\", hub tự nhận từng bản tin."),
    ("TYPE_UNSUPPORTED", "Leave this type out of the feed, or mend MSH-9; the hub's types are in the README of adapters/inbound.", "Không gửi loại này, hoặc sửa MSH-9; các loại hub nhận có trong README của adapters/inbound."),
    ("TYPE_MISSING", "Write the type into MSH-9, such as ADT^A04. If the message ends within MSH, look for what cuts it off before it is framed.", "Ghi loại bản tin vào MSH-9, ví dụ ADT^A04. Nếu bản tin kết thúc trong MSH, hãy tìm chỗ cắt bản tin trước khi đóng khung."),
    ("VERSION_UNSUPPORTED", "Write a version of HL7 v2 into MSH-12, such as 2.5.1.", "Ghi phiên bản HL7 v2 vào MSH-12, ví dụ 2.5.1."),
    ("NOTHING_REPRESENTABLE", "Look at the place named: what this type is about does not stand there. If it stands elsewhere, say where in the profile.", "Xem vị trí nêu trên: nội dung chính của loại bản tin không có ở đó. Nếu nằm chỗ khác, hãy khai trong hồ sơ."),
    ("FACILITY_UNKNOWN", "Write MA_CSKCB into MSH-4, or an alias into [facility] of the profile. The code that it stands for needs a row in the directory (facilities.csv).", "Ghi MA_CSKCB vào MSH-4, hoặc khai bí danh ở [facility] của hồ sơ. Mã của bí danh cần có một dòng trong danh bạ (facilities.csv)."),
    ("RECEIVER_UNKNOWN", "Name the receiver by its MA_CSKCB, or ask the operator to add it to the directory; until then the slip waits.", "Ghi MA_CSKCB của nơi nhận, hoặc đề nghị đơn vị vận hành thêm vào danh bạ; đến lúc đó phiếu còn chờ."),
    ("FACILITY_NOT_ENTITLED", "Ask the operator to add the facility to your credential.", "Đề nghị đơn vị vận hành thêm cơ sở vào tài khoản của bạn."),
    ("KEY_MISSING", "Send the number there, or name the place where it stands in the profile. Without it later messages cannot be joined to this one.", "Gửi mã ở vị trí đó, hoặc khai vị trí thật trong hồ sơ. Thiếu mã này, các bản tin sau không nối được với bản tin này."),
    ("CONTROL_ID_MISSING", "Write an id of its own into MSH-10 of each message: acknowledgements are matched by it.", "Ghi mã riêng vào MSH-10 của mỗi bản tin: dùng để khớp phản hồi."),
    ("SEGMENT_MISSING", "Add the segment. If your version does without it, nothing is lost; it is only told.", "Bổ sung đoạn này. Nếu phiên bản của bạn không có, không mất gì; hub chỉ nhắc."),
    ("SEGMENT_UNEXPECTED", "Move the segment to where the structure has it; local segments begin with Z.", "Chuyển đoạn về đúng chỗ trong cấu trúc; đoạn riêng phải bắt đầu bằng Z."),
    ("SEGMENT_UNREADABLE", "Escape line breaks inside fields as \\.br\\; each line must begin with a segment name and |.", "Viết ngắt dòng trong trường thành \\.br\\; mỗi dòng phải bắt đầu bằng tên đoạn và |."),
    ("SEGMENT_NAME_ODD", "Write segment names in capitals.", "Viết hoa tên đoạn."),
    ("LINE_BREAK_IN_FIELD", "Write \\.br\\ for a line break inside a field.", "Viết \\.br\\ thay cho ngắt dòng trong trường."),
    ("DELIMITERS_ODD", "Write ^~\\& into MSH-2.", "Ghi ^~\\& vào MSH-2."),
    ("ESCAPE_UNKNOWN", "Write a backslash inside text as \\E\\.", "Viết dấu \\ trong văn bản thành \\E\\."),
    ("FIELD_MISSING", "Fill the field. Where this is a warning and you have no such value, nothing is lost.", "Điền trường này. Nếu chỉ là cảnh báo và không có giá trị thì không mất gì."),
    ("FIELD_TOO_LONG", "Shorten the value, or send it in the field made for it; the hub kept all of it.", "Rút ngắn giá trị hoặc gửi ở trường phù hợp; hub đã giữ nguyên."),
    ("FIELD_REPEATS", "Send one value, or a segment for each.", "Gửi một giá trị, hoặc mỗi giá trị một đoạn."),
    ("NUMBER_UNPARSABLE", "Send digits with a point (5.6). If you write 5,6: comma = \"decimal\" in the profile, before the first [section]; if a comma stands between thousands (1,234): comma = \"thousands\". For words set OBX-2 to ST or TX.", "Gửi chữ số với dấu chấm (5.6). Nếu viết 5,6: khai comma = \"decimal\" trong hồ sơ, trước [mục] đầu tiên; nếu dấu phẩy ngăn hàng nghìn (1,234): comma = \"thousands\". Nếu là chữ, đặt OBX-2 là ST hoặc TX."),
    ("TIME_UNPARSABLE", "Send yyyymmdd or yyyymmddHHMMSS. If you cannot, name another transform in the profile (`as`).", "Gửi yyyymmdd hoặc yyyymmddHHMMSS. Nếu không được, khai phép đổi khác trong hồ sơ (`as`)."),
    ("CODE_UNKNOWN", "Map the local code under [codes.…] of the profile; `hie vendor learn` proposes the rows. A type in CX-5 goes under [identifiers.types], a facility is named by its code (MA_CSKCB).", "Khai mã riêng ở [codes.…] của hồ sơ; `hie vendor learn` đề xuất các dòng. Loại ở CX-5 khai ở [identifiers.types]; cơ sở ghi bằng mã (MA_CSKCB)."),
    ("DIAGNOSIS_MISSING", "Write the ICD-10 code into DG1-3.1, such as J18.9; words alone go into DG1-4. If it stands elsewhere in DG1: ma_benh = { from = …, as = \"icd\" } under [diagnosis] of the profile.", "Ghi mã ICD-10 vào DG1-3.1, ví dụ J18.9; phần chữ ghi ở DG1-4. Nếu mã nằm chỗ khác trong DG1: khai ma_benh = { from = …, as = \"icd\" } ở [diagnosis] của hồ sơ."),
    ("NAME_ODD", "If an age stands behind names: ho_ten = { from = \"PID-5\", as = \"full_name_without_age\" } under [person] of the profile. If signs such as ª or ¹ stand where letters should, say in `charset` what is used. Else send the name alone.", "Nếu sau tên là tuổi: khai ho_ten = { from = \"PID-5\", as = \"full_name_without_age\" } ở [person] của hồ sơ. Nếu có ký hiệu như ª, ¹ thay cho chữ, khai đúng bảng mã ở `charset`. Nếu không, chỉ gửi tên."),
    ("CARD_IS_PATIENT_NUMBER", "Leave the card field empty when there is no card.", "Để trống trường thẻ khi không có thẻ."),
    ("VISIT_IS_CITIZEN_NUMBER", "Send the number of the visit in PV1-19 and the citizen number in PID-3 (type NI). If you cannot: lists = [\"PID-3+PID-18\"] and untyped = true under [identifiers] of the profile, and ma_lk = \"PV1-19\" in each section that has it; `hie vendor learn` proposes these rows.", "Gửi mã lượt khám ở PV1-19, số CCCD ở PID-3 (loại NI). Nếu không được: khai lists = [\"PID-3+PID-18\"] và untyped = true ở [identifiers] của hồ sơ, và ma_lk = \"PV1-19\" ở mỗi mục có nó; `hie vendor learn` đề xuất các dòng này."),
    ("RESULT_STATE_UNKNOWN", "Say what your letters mean: status = { from = \"OBX-11\", codes = \"line_status\", unknown = \"keep\" } under [observation] of the profile, and a row for each under [codes.line_status], such as K = \"F\"; `hie vendor learn` proposes the rule and the letters that it saw.", "Khai nghĩa của các chữ: status = { from = \"OBX-11\", codes = \"line_status\", unknown = \"keep\" } ở [observation] của hồ sơ, và mỗi chữ một dòng ở [codes.line_status], ví dụ K = \"F\"; `hie vendor learn` đề xuất quy tắc và các chữ đã gặp."),
    ("PRIORITY_UNKNOWN", "Say what your words mean: priority = { from = [\"TQ1-9\", \"ORC-7.6\", \"OBR-27.6\", \"OBR-5\"], codes = \"priority\", unknown = \"keep\" } under [order] of the profile (from = \"RF1-2\" under [referral]), and a row for each under [codes.priority], such as CC = \"S\"; S and A are urgent, R is routine. `hie vendor learn` proposes the rule and the words that it saw.", "Khai nghĩa của các mức ưu tiên: priority = { from = [\"TQ1-9\", \"ORC-7.6\", \"OBR-27.6\", \"OBR-5\"], codes = \"priority\", unknown = \"keep\" } ở [order] của hồ sơ (from = \"RF1-2\" ở [referral]), và mỗi mức một dòng ở [codes.priority], ví dụ CC = \"S\"; S và A là khẩn, R là thông thường. `hie vendor learn` đề xuất quy tắc và các mức đã gặp."),
    ("IDENTIFIER_UNREAD", "Under [identifiers] of the profile: numbers in several fields of PID are read together by `lists = [\"PID-3+PID-4+PID-19\"]`, with the fields that hold numbers; a card in a Z-segment by `cards = [\"IN1-36\", \"IN1-49\", \"ZBH-1\"]`, with the place named here.", "Ở [identifiers] của hồ sơ: mã số ở nhiều trường PID đọc cùng nhau bằng `lists = [\"PID-3+PID-4+PID-19\"]`, với các trường có mã số; thẻ ở đoạn Z bằng `cards = [\"IN1-36\", \"IN1-49\", \"ZBH-1\"]`, với vị trí nêu ở đây."),
    ("TEST_LOCAL", "Give each such code a row under [tests] of the profile; `hie vendor learn` lists them with their counts. Or send LOINC beside your own in OBX-3.", "Khai mỗi mã ở [tests] của hồ sơ; `hie vendor learn` liệt kê các mã kèm số lần. Hoặc gửi LOINC cạnh mã riêng ở OBX-3."),
    ("IDENTIFIER_INFERRED", "Write the type into CX-5 (NI, HC, MR …), or set `untyped = true` under [identifiers] of the profile.", "Ghi loại vào CX-5 (NI, HC, MR …), hoặc đặt `untyped = true` ở [identifiers] của hồ sơ."),
    ("XML_MALFORMED", "Check the file with any XML tool; special characters are &amp; and &lt;.", "Kiểm tra tệp bằng công cụ XML; ký tự đặc biệt viết &amp; và &lt;."),
    ("XML_CONTENT_BROKEN", "NOIDUNGFILE is base64 of one table's XML, or the table's elements themselves.", "NOIDUNGFILE là base64 của XML một bảng, hoặc chính các phần tử của bảng."),
    ("XML_ELEMENT_UNKNOWN", "Write the official name of the element; see seeds/standards.", "Ghi đúng tên chỉ tiêu; xem seeds/standards."),
    ("TRANSLATION_FAILED", "Nothing: this is a fault of the hub. Report it with the place named. What was sent is kept; once it is mended the operator runs `hie replay`.", "Không cần làm gì: đây là lỗi của hub. Hãy báo kèm vị trí nêu trên. Bản tin đã gửi được lưu; sửa xong, đơn vị vận hành chạy `hie replay`."),
)  # fmt: skip

REMEDIES: Final[dict[str, tuple[str, str]]] = {code: (en, vi) for code, en, vi in _ROWS}
_CHARSET: Final = "{charset}"  # in a row: the one in which the samples were found to be


def remedy(code: str, charset: str) -> tuple[str, str]:
    """What to do about a problem, in English and Vietnamese, of samples that are in that charset; "" where there is no row."""
    en, vi = REMEDIES.get(code, ("", ""))
    return en.replace(_CHARSET, charset), vi.replace(_CHARSET, charset)
