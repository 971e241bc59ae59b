"""The one table of everything that can go wrong: code, HL7 number, acknowledgement, and what to do about it.

A code is raised as `HubError` when work has to stop, and reported as a `Problem` when it is a finding about one
message. Neither ever carries a value of the message, so neither can hold personal data: only the code and the place.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Ack = Literal["AA", "AE", "AR", ""]


class Severity(StrEnum):
    """HL7 table 0516: an error refuses the message, a warning is told to the sender, information is only recorded."""

    ERROR = "E"
    WARNING = "W"
    INFORMATION = "I"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table.

    hl7:       error number of HL7 table 0357, for ERR-3.
    ack:       the acknowledgement that an *error* of this code leads to; "" means none is sent (promise 2).
    retriable: whether the same bytes, sent again later, may succeed.
    """

    code: str
    hl7: str
    ack: Ack
    retriable: bool
    en: str
    vi: str


_ROWS: Final = (
    # frames and headers
    ErrorCode("FRAME_TOO_LARGE", "207", "AR", False, "The message is larger than this hub takes. Split it, or send attachments apart.", "Bản tin lớn hơn mức hub nhận. Hãy tách nhỏ hoặc gửi riêng tệp đính kèm."),
    ErrorCode("FRAME_UNFINISHED", "207", "", False, "The link closed before the end of the frame (0x1C 0x0D) came. Send the message again.", "Kết nối đóng trước khi hết khung (0x1C 0x0D). Hãy gửi lại bản tin."),
    ErrorCode("BYTES_BETWEEN_FRAMES", "207", "", False, "Bytes stood outside any frame (0x0B … 0x1C 0x0D). They are kept in quarantine; check the sender's framing.", "Có byte nằm ngoài khung (0x0B … 0x1C 0x0D). Chúng được cách ly; hãy kiểm tra cách đóng khung."),
    ErrorCode("FRAME_TAIL_MISSING", "207", "AE", False, "The frame ends without the 0x0D that must follow 0x1C; it was taken all the same.", "Khung thiếu 0x0D sau 0x1C; hub vẫn nhận."),
    ErrorCode("LINE_BREAK_IN_FIELD", "102", "AE", False, "A line break stands inside a field instead of \\.br\\; the lines were joined.", "Có ngắt dòng nằm trong trường thay vì \\.br\\; hub đã nối các dòng."),
    ErrorCode("DELIMITERS_ODD", "102", "AE", False, "The delimiters in MSH-2 are incomplete or repeat; the usual ones stand in.", "Ký tự phân cách ở MSH-2 thiếu hoặc trùng; hub dùng ký tự thông thường."),
    ErrorCode("BATCH_COUNT_MISMATCH", "102", "AE", False, "The count in BTS-1 or FTS-1 differs from what the batch holds.", "Số đếm ở BTS-1 hoặc FTS-1 khác nội dung lô."),
    ErrorCode("BATCH_UNBALANCED", "100", "AE", False, "A batch header or trailer (FHS, BHS, BTS, FTS) has no partner.", "Đoạn đầu hoặc cuối lô (FHS, BHS, BTS, FTS) không có cặp."),
    ErrorCode("OUTSIDE_MESSAGES", "100", "AE", False, "Text stands outside any message; it was kept but not read.", "Có văn bản nằm ngoài bản tin; được lưu nhưng không đọc."),
    ErrorCode("SEVERAL_MESSAGES", "100", "AR", False, "More than one message, or HOSO, stands where one is taken. Send each in a frame, request or file of its own.", "Có nhiều hơn một bản tin (hoặc HOSO) ở nơi chỉ nhận một. Hãy gửi từng cái trong khung, yêu cầu hoặc tệp riêng."),
    ErrorCode("MSH_UNREADABLE", "100", "AR", False, "The message does not begin with a readable MSH segment. Check its first line and delimiters.", "Bản tin không bắt đầu bằng đoạn MSH đọc được. Hãy kiểm tra dòng đầu và các ký tự phân cách."),
    ErrorCode("MESSAGE_CUT", "100", "AE", False, "The message breaks off within its last segment, so what stands there may not be whole: nothing ends that segment, and what belongs behind it is missing. Send the message again, whole, with a CR behind each segment.", "Bản tin bị cắt giữa đoạn cuối nên nội dung ở đó có thể không đủ: đoạn này không có ký tự kết thúc và thiếu phần phải có phía sau. Hãy gửi lại trọn bản tin, mỗi đoạn kết thúc bằng CR."),
    ErrorCode("SEGMENTS_JOINED", "100", "AR", False, "The whole message is one line: nothing ends its segments, so all of it stands in MSH. Send a CR behind each segment; `curl -d` takes them out, `curl --data-binary @FILE` does not.", "Cả bản tin là một dòng: không có ký tự kết thúc đoạn nên mọi nội dung nằm trong MSH. Hãy gửi CR sau mỗi đoạn; `curl -d` xóa các ký tự này, hãy dùng `curl --data-binary @TỆP`."),
    ErrorCode("EMPTY_INPUT", "100", "AR", False, "There is nothing in it: no byte of a message.", "Không có nội dung: không có byte nào của bản tin."),
    ErrorCode("FORMAT_UNKNOWN", "100", "AR", False, "This is neither HL7 v2 (MSH|…) nor the insurance XML envelope (GIAMDINHHS) nor JSON.", "Đây không phải HL7 v2 (MSH|…), phong bì XML bảo hiểm (GIAMDINHHS) hay JSON."),
    ErrorCode("JSON_MALFORMED", "100", "AR", False, "The text begins like JSON and is not: check brackets, quotes and commas, and that it is UTF-8.", "Nội dung bắt đầu như JSON nhưng không đúng: hãy kiểm tra ngoặc, dấu nháy, dấu phẩy và mã UTF-8."),
    ErrorCode("CHARSET_UNREADABLE", "102", "AR", False, "The text fits none of the character sets the hub knows. Declare the right one in MSH-18 or ask for a dialect.", "Văn bản không khớp bảng mã nào hub biết. Hãy khai đúng bảng mã ở MSH-18 hoặc yêu cầu phương ngữ."),
    ErrorCode("CHARSET_DECLARED_WRONG", "102", "AE", False, "The text is not in the character set that was declared; it was read in the one it fits.", "Văn bản không đúng bảng mã đã khai; hub đã đọc theo bảng mã phù hợp."),
    ErrorCode("CHARSET_DOUBTFUL", "102", "AE", False, "Nothing says in which character set the text is, and it reads as well in a second one; names in it may be wrong.", "Không có gì cho biết văn bản dùng bảng mã nào, và văn bản đọc theo bảng mã khác cũng hợp lý; tên trong đó có thể sai."),
    ErrorCode("CHARSET_LACKS_LETTER", "102", "", False, "The character set of the recipient lacks a letter of the text.", "Bảng mã của bên nhận thiếu chữ có trong văn bản."),
    ErrorCode("SEGMENT_NAME_ODD", "102", "AE", False, "The name of a segment is not in capitals; it was read as if it were.", "Tên đoạn không viết hoa; hub đọc như viết hoa."),
    ErrorCode("TYPE_UNSUPPORTED", "200", "AR", False, "The hub does not take this message type (MSH-9).", "Hub không nhận loại bản tin này (MSH-9)."),
    ErrorCode("TYPE_MISSING", "101", "AR", False, "MSH-9 is missing, so nothing says which message this is: it may be cut off. State the type, and send the message whole.", "Thiếu MSH-9 nên không rõ đây là bản tin gì: bản tin có thể bị cắt. Hãy ghi loại bản tin và gửi trọn bản tin."),
    ErrorCode("VERSION_UNSUPPORTED", "203", "AR", False, "The hub does not take this HL7 version (MSH-12).", "Hub không nhận phiên bản HL7 này (MSH-12)."),
    ErrorCode("NOTHING_REPRESENTABLE", "100", "AE", False, "The message holds nothing that the hub can pass on.", "Bản tin không có nội dung nào hub có thể chuyển tiếp."),
    # who may send
    ErrorCode("FACILITY_NOT_ENTITLED", "207", "AR", False, "This sender may not speak for the facility that the message names.", "Bên gửi không được phép gửi thay cơ sở nêu trong bản tin."),
    ErrorCode("FACILITY_UNKNOWN", "103", "AE", False, "The facility code is not in the directory.", "Mã cơ sở không có trong danh bạ."),
    ErrorCode("CREDENTIAL_WRONG", "207", "AR", False, "The credential is missing or not valid.", "Thiếu thông tin xác thực hoặc thông tin không hợp lệ."),
    ErrorCode("TLS_REQUIRED", "207", "AR", False, "A password or token travels with this call, so it is taken over TLS or from this machine only.", "Lời gọi này kèm mật khẩu hoặc mã truy cập nên chỉ nhận qua TLS hoặc từ chính máy này."),
    ErrorCode("TOKEN_EXPIRED", "207", "AR", False, "The token has expired; take a new one.", "Token đã hết hạn; hãy lấy token mới."),
    ErrorCode("LOGIN_UNPROVEN", "207", "", False, "The identity provider did not say who you are in a way that this hub accepts. Please sign in again.", "Hệ thống định danh chưa xác nhận được bạn là ai theo cách hub chấp nhận. Hãy đăng nhập lại."),
    ErrorCode("LOGIN_UNKNOWN", "207", "", False, "Your account may not come in here: no person of this hub belongs to it, or that person is disabled. Ask an administrator of the hub.", "Tài khoản của bạn không được vào đây: chưa có người dùng nào của hub gắn với tài khoản này, hoặc người dùng đó đã bị khóa. Hãy liên hệ quản trị viên của hub."),
    ErrorCode("PROVIDER_UNAVAILABLE", "207", "", True, "The identity provider does not answer as it should. Try again in a few minutes.", "Hệ thống định danh không trả lời đúng. Hãy thử lại sau ít phút."),
    ErrorCode("TRIES_EXCEEDED", "207", "AR", True, "Too many failed logins; wait five minutes, then try with the right password.", "Đăng nhập sai quá nhiều lần; hãy đợi năm phút rồi thử lại với mật khẩu đúng."),
    ErrorCode("REQUEST_WRONG", "102", "AR", False, "The request lacks a parameter, or one has a wrong form.", "Yêu cầu thiếu tham số hoặc tham số sai dạng."),
    ErrorCode("FILE_NOT_PLAIN", "207", "AR", False, "This is no plain file but a link or a device; the drop folder takes plain files only.", "Đây không phải tệp thường mà là liên kết hoặc thiết bị; thư mục nhận chỉ lấy tệp thường."),
    ErrorCode("FOLDER_UNUSABLE", "207", "", True, "A file of the drop folder cannot be read, moved or answered; it stays and is tried again. Check who may read and write there.", "Không đọc, chuyển hoặc trả lời được tệp trong thư mục nhận; tệp được giữ và thử lại. Hãy kiểm tra quyền đọc ghi."),
    # contents
    ErrorCode("KEY_MISSING", "101", "AE", False, "The business key of this message type is missing; sender and control id stand in for it.", "Thiếu khóa nghiệp vụ của loại bản tin; hub dùng bên gửi và mã bản tin thay thế."),
    ErrorCode("CONTROL_ID_MISSING", "101", "AE", False, "MSH-10 is empty; the hub gave the message an id made from its bytes.", "MSH-10 trống; hub tạo mã từ nội dung bản tin."),
    ErrorCode("SEGMENT_MISSING", "100", "AE", False, "A segment that this message type requires is missing.", "Thiếu đoạn bắt buộc của loại bản tin."),
    ErrorCode("SEGMENT_UNEXPECTED", "100", "AE", False, "This segment does not belong where it stands.", "Đoạn này không đúng vị trí."),
    ErrorCode("SEGMENT_UNREADABLE", "100", "AE", False, "This line is not a segment; it was kept but not read.", "Dòng này không phải một đoạn; được lưu nhưng không đọc."),
    ErrorCode("FIELD_MISSING", "101", "AE", False, "A required field is empty.", "Trường bắt buộc bị trống."),
    ErrorCode("FIELD_TOO_LONG", "102", "AE", False, "The field is longer than its standard allows.", "Trường dài hơn mức chuẩn cho phép."),
    ErrorCode("FIELD_REPEATS", "102", "AE", False, "The field repeats more often than its standard allows; what stands behind the first repetition counts only where a rule reads it, which `hie vendor check` says.", "Trường lặp nhiều hơn mức chuẩn cho phép; các lần lặp sau lần đầu chỉ được tính khi có quy tắc đọc, `hie vendor check` cho biết điều đó."),
    ErrorCode("REPETITION_DROPPED", "102", "AE", False, "The field, a figure under one OBX-4, or the summary of a claim (XML1) is there more often than its standard allows, and nothing reads what stands behind the first: a second diagnosis or test there goes to nobody; the raw message keeps it.", "Trường, số liệu cùng một OBX-4, hoặc tổng hợp hồ sơ (XML1) có nhiều hơn mức chuẩn cho phép, và các giá trị sau giá trị đầu không được đọc: chẩn đoán hoặc xét nghiệm thứ hai ghi ở đó không được chuyển cho ai; bản tin gốc được giữ."),
    ErrorCode("CURRENCY_FOREIGN", "103", "AE", False, "The amount is in another currency than VND; it was kept as it came.", "Số tiền không phải VND; hub giữ nguyên văn."),
    ErrorCode("AMOUNT_DOUBTFUL", "102", "AE", False, "The amount is not quantity times unit price, is less than nothing though it is a charge, is hardly any money, or is written so that its point may stand between thousands (148.480); it was taken as it is read.", "Số tiền không bằng số lượng nhân đơn giá, âm dù là dòng tính phí, quá nhỏ, hoặc dấu chấm có thể là dấu ngăn hàng nghìn (148.480); hub giữ như đã đọc."),
    ErrorCode("CONTENT_UNREADABLE", "102", "AE", False, "The embedded document (OBX-5) cannot be decoded as declared; the raw message keeps it.", "Không giải mã được tài liệu nhúng (OBX-5) theo cách đã khai; bản tin gốc vẫn được lưu."),
    ErrorCode("CHARGE_KIND_UNKNOWN", "103", "AE", False, "The kind of the charge (FT1-6) is none of HL7 table 0017, so the line counts as no charge in a claim that the hub assembles; it was kept as it came.", "Loại khoản chi phí (FT1-6) không có trong bảng HL7 0017 nên dòng không được tính vào hồ sơ do hub lập; hub giữ nguyên văn."),
    ErrorCode("LINE_NUMBER_SHARED", "102", "AE", False, "Different services stand under one number of a line (FT1-2), in one message or in several of one visit: the later one counts as a correction of the earlier, so only one of them is claimed.", "Các dịch vụ khác nhau dùng chung một số dòng (FT1-2), trong một bản tin hoặc nhiều bản tin của một lượt khám: dòng sau được coi là sửa dòng trước nên chỉ một dòng được thanh toán."),
    ErrorCode("NOTE_NOT_PASSED_ON", "102", "AE", False, "A note (NTE) stands in a slip or an appointment, or it or an allergy (AL1) before any order or result (behind PID), where no place is made for it, or a result (OBX) in a slip whose summary of results (TOMTAT_KQ) a rule reads elsewhere, or a part of a slip (OBX-3 VN-…) that no rule reads, such as a second one of its code, or a flag (OBX-8) of a conclusion in text, or what was observed (OBX) beside a drug of a prescription: recipients do not get it, the raw message keeps it.", "Ghi chú (NTE) nằm trong giấy chuyển hoặc lịch hẹn, hoặc ghi chú hay dị ứng (AL1) đứng trước mọi chỉ định, kết quả (sau PID), là nơi không có chỗ chứa; hoặc kết quả (OBX) trong giấy chuyển mà tóm tắt kết quả (TOMTAT_KQ) được đọc ở chỗ khác; hoặc một phần của giấy (OBX-3 VN-…) không quy tắc nào đọc, ví dụ OBX thứ hai cùng mã; hoặc cờ bất thường (OBX-8) của kết luận dạng chữ; hoặc chỉ số quan sát (OBX) đi kèm thuốc trong đơn: bên nhận không nhận được, bản tin gốc được giữ."),
    ErrorCode("ORDER_DIFFERS", "102", "AE", False, "A further test of an order says otherwise what one order has once (such as who performs it, ORC-3.2, or its group, ORC-4), or ORC and OBR of one test have different numbers (ORC-2 and OBR-2, ORC-3 and OBR-3): what stands at the place named goes to nobody, but for OBX of a further test, which go out as those of the order; the raw message keeps it.", "Xét nghiệm sau của một chỉ định ghi khác ở nội dung mà mỗi chỉ định chỉ có một (ví dụ nơi thực hiện ORC-3.2, nhóm ORC-4), hoặc ORC và OBR của cùng một xét nghiệm ghi số khác nhau (ORC-2 và OBR-2, ORC-3 và OBR-3): giá trị ở vị trí nêu trên không được chuyển cho ai, riêng OBX của xét nghiệm sau được chuyển như của cả chỉ định; bản tin gốc được giữ."),
    ErrorCode("APPOINTMENT_DIFFERS", "102", "AE", False, "A further patient (PID), resource (AIS, AIP, AIG, AIL), TQ1 or SCH of an appointment has another number, name, service, doctor or time than the first. A slip has one of each, so what stands at the place named, of a patient all that stands behind, goes to nobody; the raw message keeps it.", "Người bệnh (PID), tài nguyên (AIS, AIP, AIG, AIL), TQ1 hoặc SCH sau của một lịch hẹn ghi mã, tên, dịch vụ, bác sĩ hoặc giờ khác với cái đầu. Giấy hẹn chỉ có một người bệnh, một dịch vụ, một bác sĩ, một giờ, nên giá trị ở vị trí nêu trên (với người bệnh là cả phần phía sau) không được chuyển cho ai; bản tin gốc được giữ."),
    ErrorCode("DIAGNOSIS_OF_LAST", "102", "AE", False, "Of several orders the last one alone has a diagnosis (DG1) behind it, so the others go out without one.", "Trong nhiều chỉ định chỉ chỉ định cuối có chẩn đoán (DG1) phía sau, nên các chỉ định khác được chuyển không kèm chẩn đoán."),
    ErrorCode("CONTENT_NOT_PASSED_ON", "102", "AE", False, "A document is embedded in a result or a slip (OBX-2 ED); recipients get its type, not its content. The raw message keeps it.", "Có tài liệu nhúng trong kết quả hoặc phiếu (OBX-2 ED); bên nhận chỉ biết loại tệp, không nhận được nội dung. Bản tin gốc vẫn lưu."),
    ErrorCode("FIELD_UNKNOWN", "102", "AE", False, "The JSON has a field here that its form does not know. Check its spelling.", "JSON có trường mà biểu mẫu không có. Hãy kiểm tra tên trường."),
    ErrorCode("NUMBER_SHARED", "102", "AE", False, "One number stands for different patients in these samples (each patient is counted once): what belongs to one of them would be joined with another's.", "Một mã số được dùng cho nhiều người bệnh khác nhau trong các mẫu (mỗi người đếm một lần): dữ liệu của người này sẽ bị ghép với người khác."),
    ErrorCode("CONTROL_ID_SHARED", "102", "AE", False, "One control id (MSH-10) stands for messages of different content in these samples (each is counted once): an answer to one of them may be taken for another's.", "Một mã bản tin (MSH-10) được dùng cho các bản tin khác nội dung trong các mẫu (mỗi bản đếm một lần): phản hồi cho bản này có thể bị hiểu là của bản khác."),
    ErrorCode("NUMBER_UNPARSABLE", "102", "AE", False, "This should be a number and is not, or is a weight that nobody has in the unit it states (in kg without one), so it counts as none; what was sent is kept.", "Giá trị phải là số nhưng không phải, hoặc là cân nặng không thể có theo đơn vị đã ghi (không ghi là kg), nên không được tính; hub vẫn lưu nội dung đã gửi."),
    ErrorCode("NUMBER_DOUBTFUL", "102", "AE", False, "The point in it may stand between thousands or before decimals: 1.250 is 1250, or 1.25. As this could be two numbers it counts as none; what was sent is kept, and in a result goes on as text with a note that says so.", "Dấu chấm có thể ngăn hàng nghìn hoặc phần thập phân: 1.250 là 1250, hoặc 1,25. Vì có thể hiểu thành hai số nên không được tính là số; hub lưu nội dung đã gửi, với kết quả thì chuyển dưới dạng chữ kèm ghi chú nói rõ."),
    ErrorCode("TIME_UNPARSABLE", "102", "AE", False, "This should be a date or time (yyyymmdd[HHMM[SS]]) and is not, or names a day that the calendar does not have, so it counts as none; what was sent is kept.", "Giá trị phải là ngày giờ (yyyymmdd[HHMM[SS]]) nhưng không phải, hoặc là ngày không có trong lịch, nên không được tính là ngày giờ; hub vẫn lưu nội dung đã gửi."),
    ErrorCode("CODE_UNKNOWN", "103", "AE", False, "The code is not in the list that applies here.", "Mã không có trong danh mục áp dụng."),
    ErrorCode("DIAGNOSIS_MISSING", "101", "AE", False, "The slip has no code of its main diagnosis (MA_BENH_CHINH). It was taken; it does not go to the citizen's app without one.", "Giấy không có mã bệnh chính (MA_BENH_CHINH). Hub vẫn nhận; giấy thiếu mã này không được gửi lên ứng dụng của người dân."),
    ErrorCode("NAME_ODD", "102", "AE", False, "The name of the patient, or of a guardian (NK1-2), holds a digit, a bracket, a sign such as ª or a `?` within a word: an age or a number seems to stand with it, or its charset was told wrongly; or it ends in Văn or Thị, or in a part of the field that begins with one of them, which are middle names, so that middle and given name seem to have changed places. It was kept as it came.", "Tên người bệnh, hoặc của người giám hộ (NK1-2), có chữ số, dấu ngoặc, ký hiệu như ª hoặc dấu ? giữa chữ: có vẻ kèm tuổi hoặc số, hoặc sai bảng mã; hoặc tên kết thúc bằng Văn, Thị hoặc bằng phần bắt đầu bằng Văn, Thị, có vẻ tên đệm và tên bị đổi chỗ. Hub giữ nguyên văn."),
    ErrorCode("FIELDS_SHIFTED", "102", "AE", False, "The county code (PID-12) has components, or the state of a line (OBX-11) stands in OBX-12: the address, or the value (OBX-5), seems to go on behind a field separator that nobody escaped. What stands behind it is cut off, and the later fields are one place off. Or a time or a card stands one field beside its own, which is empty (PV1-43 for PV1-44, OBR-15 for OBR-14, OBR-23 for OBR-22, ORC-10 for ORC-9, RF1-6 for RF1-7, IN1-37 for IN1-36), the number of the visit where its class does (PV1-20 for PV1-19), a range where the flag belongs (OBX-8), an illness where the performer does (FT1-20 for FT1-19), or words where a number does (RF1-11 for RF1-10): it was not read as such.", "Mã huyện (PID-12) có nhiều thành phần, hoặc trạng thái dòng (OBX-11) nằm ở OBX-12: có vẻ địa chỉ hoặc giá trị (OBX-5) còn tiếp sau dấu | chưa mã hóa. Phần sau bị cắt mất và các trường kế tiếp lệch một vị trí. Hoặc thời gian hay số thẻ nằm lệch một trường trong khi trường của nó để trống (PV1-43 thay vì PV1-44, OBR-15 thay vì OBR-14, OBR-23 thay vì OBR-22, ORC-10 thay vì ORC-9, RF1-6 thay vì RF1-7, IN1-37 thay vì IN1-36), số lượt khám ở chỗ của đối tượng (PV1-20 thay vì PV1-19), khoảng tham chiếu nằm ở chỗ của cờ (OBX-8), mã bệnh ở chỗ của người thực hiện (FT1-20 thay vì FT1-19), hoặc lời ở chỗ của số (RF1-11 thay vì RF1-10): hub không đọc giá trị đó."),
    ErrorCode("CARD_IS_PATIENT_NUMBER", "102", "AE", False, "The insurance card field holds the patient number; it was not taken as a card.", "Trường thẻ BHYT chứa mã người bệnh; hub không coi là thẻ."),
    ErrorCode("VISIT_IS_CITIZEN_NUMBER", "102", "AE", False, "The account of the patient (PID-18) holds a citizen number; it was not taken as the number of the visit.", "PID-18 chứa số định danh cá nhân (CCCD); hub không coi là mã lượt khám."),
    ErrorCode("RESULT_STATE_UNKNOWN", "103", "AE", False, "The state of the result line is none of HL7 table 0085, so the line does not count as final; it was kept as it came.", "Trạng thái của dòng kết quả không có trong bảng HL7 0085 nên dòng chưa được coi là kết quả cuối; hub giữ nguyên văn."),
    ErrorCode("PRIORITY_UNKNOWN", "103", "AE", False, "The priority of the order or slip is none of HL7's, so it goes as routine; it was kept as it came.", "Mức ưu tiên của chỉ định hoặc phiếu chuyển không phải mã HL7 nên được xử lý như thông thường; hub giữ nguyên văn."),
    ErrorCode("IDENTIFIER_UNREAD", "102", "AE", False, "A number of the patient stands where the profile does not read it, has not the form of the type it has, or stands as the mother's too (PID-21).", "Có mã số của người bệnh ở chỗ hồ sơ ánh xạ không đọc, không đúng dạng của loại đã ghi, hoặc lặp lại ở chỗ mã số của mẹ (PID-21)."),
    ErrorCode("RESULT_STATE_DOUBTFUL", "103", "AE", False, "Most results of these samples have a value and a state (OBX-11) by which HL7 says that there is none, such as D (deleted), X or N: the letters seem to mean something else.", "Phần lớn kết quả trong các mẫu có giá trị nhưng trạng thái (OBX-11) theo HL7 nghĩa là không có kết quả, ví dụ D (đã xóa), X hoặc N: các chữ này có vẻ mang nghĩa khác."),
    ErrorCode("VALUE_TYPE_UNKNOWN", "103", "AE", False, "The type of a result (OBX-2) is missing or none of HL7 table 0125, so its value goes out as text, and is no number whatever it looks like.", "Kiểu của kết quả (OBX-2) để trống hoặc không có trong bảng HL7 0125 nên giá trị được chuyển như văn bản, không phải số dù trông giống số."),
    ErrorCode("PERSON_MISSING", "101", "AE", False, "The result or order says of no person whose it is: neither a number (PID-3) nor a name (PID-5). It is held, and nobody gets it: send it again with the patient.", "Kết quả hoặc chỉ định không ghi của ai: không có số định danh (PID-3) lẫn họ tên (PID-5). Hub giữ lại, không ai nhận được: hãy gửi lại kèm người bệnh."),
    ErrorCode("TEST_MISSING", "101", "AE", False, "A result has a value, or an order a service, without a test (OBX-3, OBR-4): nobody can tell what was measured, or is wanted. It goes out all the same.", "Kết quả có giá trị, hoặc chỉ định, nhưng không ghi xét nghiệm (OBX-3, OBR-4): không ai biết đã đo gì hay cần làm gì. Hub vẫn chuyển."),
    ErrorCode("TEST_LOCAL", "103", "AE", False, "The test has only the laboratory's own code: nobody else can compare its results.", "Xét nghiệm chỉ có mã riêng của phòng xét nghiệm: nơi khác không so sánh được kết quả."),
    ErrorCode("TEST_CODE_WRONG", "103", "AE", False, "The test is said to be one of LOINC, and its check digit (the last one) does not fit: it is mistyped, and nobody else finds its results.", "Mã xét nghiệm ghi là LOINC nhưng chữ số kiểm tra (chữ số cuối) không khớp: mã bị gõ sai nên nơi khác không tìm được kết quả."),
    ErrorCode("IDENTIFIER_INFERRED", "102", "AE", False, "The identifier has no type, or one that is not of its shape; one was inferred.", "Định danh không ghi loại hoặc ghi loại không hợp hình dạng; hub suy ra loại."),
    ErrorCode("ESCAPE_UNKNOWN", "102", "AE", False, "An escape sequence is not known; it was kept as it came.", "Chuỗi thoát không rõ; hub giữ nguyên văn."),
    # the insurance XML
    ErrorCode("XML_MALFORMED", "100", "AR", False, "The XML is not well formed.", "XML không đúng cú pháp."),
    ErrorCode("XML_FORBIDDEN", "207", "AR", False, "The XML declares entities or a DTD, which the hub refuses.", "XML khai báo thực thể hoặc DTD, hub không nhận."),
    ErrorCode("XML_LIMIT", "207", "AR", False, "The XML goes beyond a limit of the hub: its depth, its number of names or rows, the length of a tag, or the size of one HOSO.", "XML vượt giới hạn của hub: độ sâu, số tên thẻ hoặc số dòng, độ dài một thẻ, hoặc kích thước một HOSO."),
    ErrorCode("XML_CONTENT_BROKEN", "102", "AE", False, "The content of a table (NOIDUNGFILE) is not base64 of well-formed XML.", "Nội dung bảng (NOIDUNGFILE) không phải base64 của XML hợp lệ."),
    ErrorCode("XML_TABLE_UNKNOWN", "103", "AE", False, "This table (LOAIHOSO) is not part of the standard; it was kept but not read.", "Bảng (LOAIHOSO) không thuộc chuẩn; được lưu nhưng không đọc."),
    ErrorCode("XML_ELEMENT_UNKNOWN", "102", "AE", False, "This element is not part of its table; it was kept but not read.", "Chỉ tiêu này không thuộc bảng; được lưu nhưng không đọc."),
    ErrorCode("XML_COUNT_MISMATCH", "102", "AE", False, "SOLUONGHOSO differs from the number of HOSO.", "SOLUONGHOSO khác số HOSO thực có."),
    ErrorCode("CLAIM_REPEATED", "205", "AE", False, "The envelope has this MA_LK more than once, with other content. Of those the last counts and takes the place of the ones before it, of which nothing is paid; one that says again what an earlier one said adds nothing. Send one HOSO a claim.", "Phong bì có MA_LK này nhiều hơn một lần với nội dung khác nhau. Bản cuối có hiệu lực và thay thế các bản trước, các bản trước không được thanh toán; bản lặp lại đúng nội dung đã có thì không có tác dụng. Mỗi hồ sơ chỉ gửi một HOSO."),
    ErrorCode("SIGNATURE_MISSING", "207", "AR", False, "The envelope is not signed (CHUKYDONVI), and a certificate is on record for the facility.", "Hồ sơ không có chữ ký số (CHUKYDONVI) trong khi cơ sở đã đăng ký chứng thư."),
    ErrorCode("SIGNATURE_WRONG", "207", "AR", False, "The signature (CHUKYDONVI) does not fit the envelope: it was changed after signing, or the signature is not of a form the hub reads.", "Chữ ký số (CHUKYDONVI) không khớp hồ sơ: nội dung bị sửa sau khi ký, hoặc chữ ký không đúng dạng hub đọc được."),
    ErrorCode("SIGNATURE_UNTRUSTED", "207", "AR", False, "The certificate of the signature (CHUKYDONVI) is not on record for the facility, or was not valid when the envelope came.", "Chứng thư của chữ ký số (CHUKYDONVI) chưa đăng ký cho cơ sở, hoặc không còn hiệu lực lúc nhận hồ sơ."),
    # ours
    ErrorCode("TRANSLATION_FAILED", "207", "AR", False, "A fault of the hub kept this message from being read. Its bytes are kept; once it is mended the operator runs `hie replay`. Do not send it again.", "Lỗi của hub khiến bản tin chưa đọc được. Nội dung đã được lưu; sửa xong, đơn vị vận hành chạy `hie replay`. Không cần gửi lại."),
    # routing
    ErrorCode("RECEIVER_UNKNOWN", "103", "", False, "The receiving facility is not in the directory, or is closed and was merged into no other; the event waits until that changes.", "Cơ sở nhận không có trong danh bạ, hoặc đã đóng mà không sáp nhập vào cơ sở nào; sự kiện chờ đến khi thay đổi."),
    ErrorCode("PERFORMER_UNKNOWN", "103", "AE", False, "The name of the receiver of this order (MSH-6) is no facility's, and nothing else says who performs it. It was taken as a matter of its own facility, and goes to nobody.", "Tên nơi nhận chỉ định (MSH-6) không phải của cơ sở nào, và không có chỗ nào khác cho biết nơi thực hiện. Hub coi là việc nội bộ của cơ sở gửi và không chuyển cho ai."),
    ErrorCode("PAYER_UNKNOWN", "103", "", False, "No payer could be found for this claim; it waits until one is.", "Không xác định được bên chi trả; hồ sơ chờ đến khi xác định được."),
    ErrorCode("DECISION_MISMATCH", "207", "", False, "The decision does not match the payer, key or revision of a claim the hub has sent, or its version was used for another word on that claim.", "Quyết định không khớp bên chi trả, khóa hoặc phiên bản hồ sơ đã gửi, hoặc số version đã dùng cho quyết định khác về hồ sơ đó."),
    ErrorCode("CLAIM_GONE", "207", "", False, "The claim that a supplementary insurer should get is older than its topic keeps, so no copy was made. The facility has to send it again with a newer NGAYLAP (the same file again is a repeat, and has no effect): its payer decides on it anew, and the copy follows.", "Hồ sơ cần gửi bên bảo hiểm bổ sung đã quá hạn lưu nên không tạo được bản sao. Cơ sở cần gửi lại hồ sơ với NGAYLAP mới hơn (gửi lại đúng tệp cũ bị coi là trùng và không có tác dụng): bên chi trả quyết định lại, sau đó bản sao được gửi."),
    ErrorCode("EVENT_UNROUTABLE", "207", "", False, "A rule failed on this event; it waits for a person, and later events of its key wait behind it.", "Quy tắc gặp lỗi với sự kiện này; sự kiện chờ người xử lý, các sự kiện sau cùng khóa xếp hàng."),
    ErrorCode("EDIT_FORBIDDEN", "207", "", False, "What is signed, and a payer's decision, is not edited here: whoever made it has to send it anew, or it is discarded.", "Không sửa tại đây tài liệu đã ký và quyết định của bên chi trả: bên lập phải gửi lại, hoặc bỏ sự kiện."),
    ErrorCode("CLAIM_UNASSEMBLED", "207", "", False, "The claim of this encounter cannot be assembled: it has more parts than the hub reads for one claim, or some are older than their topics keep. The facility has to send the claim itself.", "Không lập được hồ sơ của đợt điều trị này: quá nhiều thành phần cho một hồ sơ, hoặc có thành phần đã quá hạn lưu. Cơ sở cần tự gửi hồ sơ."),
    ErrorCode("BODY_UNDECODABLE", "102", "", False, "The body of this record cannot be decoded by its schema. Its bytes are in the dead-letter topic.", "Không giải mã được bản ghi theo lược đồ. Nội dung nằm ở chủ đề dead-letter."),
    ErrorCode("TEST_MISPLACED", "207", "", False, "Test traffic came to a real payer, or real traffic to the test payer; it stays out of the ledger.", "Dữ liệu thử đến bên chi trả thật, hoặc dữ liệu thật đến bên thử; không vào sổ cái."),
    # the world
    ErrorCode("BROKER_LIMIT", "207", "", True, "The brokers take smaller records than the hub's topics need. Nothing was acknowledged; the sender will try again. Raise max.message.bytes.", "Kafka chỉ nhận bản ghi nhỏ hơn mức các topic của hub cần. Chưa báo nhận; bên gửi sẽ gửi lại. Hãy tăng max.message.bytes."),
    ErrorCode("BROKER_UNAVAILABLE", "207", "", True, "The brokers do not confirm. Nothing was acknowledged; the sender will try again.", "Kafka không xác nhận. Chưa báo nhận; bên gửi sẽ gửi lại."),
    ErrorCode("REGISTRY_UNAVAILABLE", "207", "", True, "The schema registry does not answer.", "Schema registry không trả lời."),
    ErrorCode("DATABASE_UNAVAILABLE", "207", "", True, "PostgreSQL does not answer.", "PostgreSQL không trả lời."),
    ErrorCode("SCHEMA_INCOMPATIBLE", "207", "", False, "The registry refuses the schema: it would break readers or writers of older records.", "Registry từ chối lược đồ: sẽ làm hỏng bên đọc hoặc ghi bản ghi cũ."),
    ErrorCode("OVERLOADED", "207", "", True, "A limit is reached; the sender is slowed. Try again after the time stated.", "Đã đến giới hạn; bên gửi bị làm chậm. Hãy thử lại sau thời gian nêu."),
    ErrorCode("LEDGER_CONFLICT", "207", "", True, "Another process wrote the same part of the ledger.", "Tiến trình khác đã ghi cùng phần sổ cái."),
    ErrorCode("RECIPIENT_REFUSED", "207", "", False, "The recipient answered the delivery with a refusal.", "Bên nhận từ chối bản tin được giao."),
    ErrorCode("RECIPIENT_UNREACHABLE", "207", "", True, "The recipient does not answer; the delivery waits and is tried again.", "Bên nhận không trả lời; bản tin chờ và sẽ được gửi lại."),
    ErrorCode("RECIPIENT_PAUSED", "207", "", True, "Delivery to this recipient is paused by an operator; what comes is kept. Ask again later, or ask the operator of the hub.", "Việc giao cho bên nhận này đang được người vận hành tạm dừng; bản tin vẫn được giữ. Hãy hỏi lại sau hoặc liên hệ người vận hành hub."),
    ErrorCode("NOT_FETCHED", "207", "", False, "The recipient did not fetch the delivery within its time. It stays in the mailbox for now: tell the recipient by another way.", "Bên nhận không lấy bản tin trong thời hạn. Bản tin tạm giữ trong hộp thư: hãy báo bên nhận bằng cách khác."),
    ErrorCode("NOT_CONFIRMED", "207", "", False, "The recipient fetched the delivery and never said what became of it; its time in the mailbox is over.", "Bên nhận đã lấy bản tin nhưng không hề phản hồi; thời hạn lưu trong hộp thư đã hết."),
    # the insurance portal, and what it is told
    ErrorCode("NOT_TAKEN", "207", "", False, "The insurance portal did not take the discharge papers within their time: its client is not configured (HIE_PORTAL), takes none (`papers`), its account was refused, the mailbox was paused, or no answer came. The claim itself went to its payer; no notice is sent.", "Cổng bảo hiểm không nhận giấy ra viện trong thời hạn: hub chưa cấu hình cổng (HIE_PORTAL), không gửi giấy (`papers`), tài khoản bị từ chối, hộp thư tạm dừng hoặc không có trả lời. Bản thân hồ sơ đã gửi đến bên chi trả; không gửi thông báo."),
    ErrorCode("SLIP_UNSIGNED", "207", "", False, "The document lacks a signature of the organisation of its own (DU_PHONG), which electronic ones need since 01/06/2026; that of a whole claim (CHUKYDONVI) does not go with a part of it. Sign it and send it again.", "Giấy chưa có chữ ký số riêng của đơn vị (DU_PHONG), bắt buộc với giấy điện tử từ 01/06/2026; chữ ký của cả hồ sơ (CHUKYDONVI) không đi theo một phần hồ sơ. Hãy ký và gửi lại."),
    ErrorCode("IDENTITY_MISSING", "101", "", False, "There is neither a citizen number nor an insurance card: the app cannot find whose document it is.", "Không có số định danh cá nhân và thẻ BHYT: ứng dụng không tìm được người có giấy này."),
    ErrorCode("IDENTITY_MALFORMED", "102", "", False, "The citizen number, card or birth date does not have the form that it must have.", "Số định danh, số thẻ BHYT hoặc ngày sinh sai định dạng."),
    ErrorCode("IDENTITY_MISMATCH", "207", "", False, "What is said of the person contradicts itself: citizen number, card, name and birth date must be one person's. Check the papers and send it again.", "Thông tin người bệnh mâu thuẫn: số định danh, thẻ BHYT, họ tên và ngày sinh phải của cùng một người. Hãy kiểm tra giấy tờ và gửi lại."),
    ErrorCode("DATES_CONTRADICT", "207", "", False, "The dates contradict each other, or a visit that begins has an end and no beginning.", "Các mốc ngày mâu thuẫn nhau, hoặc lượt khám mới bắt đầu có giờ ra mà không có giờ vào."),
    ErrorCode("FACILITY_SAME", "207", "", False, "The slip sends the person to the facility that issues it.", "Nơi chuyển đến trùng với nơi chuyển đi."),
    ErrorCode("SENSITIVE_HELD", "207", "", False, "It is protected (HIV, mental or reproductive health) and held until consent is known; it is not sent to the app.", "Thông tin được bảo vệ (HIV, sức khỏe tâm thần hoặc sinh sản), giữ lại đến khi có sự đồng ý; không gửi lên ứng dụng."),
    ErrorCode("PORTAL_CANNOT_CANCEL", "207", "", False, "The portal already has this document and has no call that takes one back: take it back on the portal's page, then drop it here.", "Cổng đã nhận giấy này và không có lệnh thu hồi: hãy thu hồi trên trang của cổng rồi bỏ khỏi danh sách."),
    ErrorCode("PORTAL_ACCOUNT_MISSING", "207", "", False, "The hub has no account at the portal for this facility (HIE_PORTAL).", "Hub chưa có tài khoản cổng của cơ sở này (HIE_PORTAL)."),
    ErrorCode("PORTAL_LOGIN_REFUSED", "207", "", True, "The portal does not take the account of this facility; its documents wait. Check user and password file of HIE_PORTAL.", "Cổng không chấp nhận tài khoản của cơ sở; giấy tờ đang chờ. Hãy kiểm tra tài khoản và tệp mật khẩu trong HIE_PORTAL."),
    ErrorCode("NOT_FOR_PORTAL", "207", "", False, "There is nothing to tell the portal: it never had this document.", "Không có gì để báo cổng: cổng chưa từng nhận giấy này."),
    ErrorCode("SUPERSEDED", "207", "", False, "A newer revision of the same document took its place.", "Đã có bản mới hơn của cùng giấy thay thế."),
    ErrorCode("GIVEN_UP", "207", "", False, "A person took it off the work list; the audit topic says who and why.", "Người vận hành đã bỏ khỏi danh sách; lý do ghi ở chủ đề audit."),
    ErrorCode("CARD_CHECK_UNSET", "207", "", False, "This hub has no way to the card register (HIE_CARD_CHECK_URL is not set). Check the card on the insurer's portal.", "Hub này chưa nối với hệ thống tra cứu thẻ (chưa đặt HIE_CARD_CHECK_URL). Hãy tra cứu thẻ trên cổng của cơ quan bảo hiểm."),
    ErrorCode("CARD_CHECK_SILENT", "207", "", True, "The card register does not answer. Try again later, or check the card on the insurer's portal.", "Hệ thống tra cứu thẻ không trả lời. Hãy thử lại sau hoặc tra cứu trên cổng của cơ quan bảo hiểm."),
    # the local stack and settings
    ErrorCode("SETTING_WRONG", "207", "", False, "A setting is unknown or has a wrong value.", "Có cấu hình không rõ hoặc sai giá trị."),
    ErrorCode("PORT_TAKEN", "207", "", False, "Another program listens on a port that the hub needs. Stop it, or set another port.", "Cổng hub cần đã bị chương trình khác dùng. Hãy dừng nó hoặc đặt cổng khác."),
    ErrorCode("QUESTION_FAILED", "207", "", True, "A service could not find out something that its metrics tell; that gauge is absent until it can.", "Dịch vụ không lấy được một giá trị cho số đo; số đo đó vắng mặt cho đến khi lấy được."),
    ErrorCode("DISK_FULL", "207", "", True, "There is no room left on the disk. Free some, or set another data folder.", "Đĩa đã đầy. Hãy giải phóng hoặc đặt thư mục dữ liệu khác."),
    ErrorCode("FETCH_FAILED", "207", "", True, "A part of the local stack could not be fetched. Check the network, then run the command again.", "Không tải được một phần của bộ dịch vụ cục bộ. Hãy kiểm tra mạng rồi chạy lại."),
    ErrorCode("CHECKSUM_WRONG", "207", "", True, "A fetched file is not the one that was pinned; it was thrown away. Run the command again.", "Tệp tải về không đúng tệp đã ghim; đã bỏ. Hãy chạy lại."),
    ErrorCode("PROCESS_DIED", "207", "", True, "A process of the local stack ended by itself; its log says why.", "Một tiến trình của bộ dịch vụ cục bộ tự dừng; xem nhật ký của nó."),
    ErrorCode("ALREADY_RUNNING", "207", "", False, "Another hub already uses this data folder. Stop it, or set another data folder.", "Một hub khác đang dùng thư mục dữ liệu này. Hãy dừng nó hoặc đặt thư mục khác."),
    ErrorCode("NOT_RUNNING", "207", "", True, "The hub, or this part of it, does not run here. Start it with `hie up`, or wait a moment if it is starting.", "Hub hoặc phần này của hub không chạy ở đây. Hãy chạy `hie up`, hoặc đợi một lát nếu hub đang khởi động."),
    ErrorCode("BACKUP_DAMAGED", "207", "", False, "The backup is not whole: a file of it is missing or not as it was. Nothing was restored; take an older one.", "Bản sao lưu không nguyên vẹn: có tệp bị thiếu hoặc khác lúc sao lưu. Chưa khôi phục gì; hãy dùng bản cũ hơn."),
    ErrorCode("TARGET_NOT_EMPTY", "207", "", False, "Something lies where this would be put, and nothing is overwritten. Move it away, or name another folder.", "Nơi ghi đã có dữ liệu và hub không ghi đè. Hãy chuyển dữ liệu đó đi hoặc chọn thư mục khác."),
    ErrorCode("ARCHIVE_UNAVAILABLE", "207", "", True, "The archive cannot be read or written now: its folder, its disk, or a file of it. `hie archive verify` looks at all of it.", "Không đọc hoặc ghi được kho lưu trữ: thư mục, đĩa hoặc một tệp của nó. `hie archive verify` sẽ kiểm tra."),
    ErrorCode("TOPIC_CUT", "207", "", True, "Kafka lost the end of a topic (its brokers stopped uncleanly) and gives its places to other records. What the archive holds of it is kept: `hie replay --since` the day before brings back what is missing.", "Kafka đã mất phần cuối của một chủ đề (broker dừng đột ngột) và cấp lại vị trí cho bản ghi khác. Kho lưu trữ vẫn giữ phần đó: `hie replay --since` từ ngày trước đó sẽ phát lại phần bị thiếu."),
    ErrorCode("INDEX_IRREPLACEABLE", "207", "", False, "The index knows records that neither the topics nor the archive hold any more; built anew, it would know less.", "Chỉ mục có những bản ghi mà chủ đề và kho lưu trữ không còn giữ; dựng lại sẽ mất chúng."),
    ErrorCode("FORGOTTEN", "207", "", False, "It was erased at somebody's request; what it held is not kept any more.", "Dữ liệu đã được xóa theo yêu cầu; hub không còn giữ nội dung."),
    ErrorCode("LEGAL_HOLD", "207", "", False, "Part of it was written on a day of a legal hold, so nothing of it is erased. `hie hold list` names the holds; erase it once they are ended.", "Một phần được ghi vào ngày đang bị lưu giữ theo yêu cầu pháp lý nên hub không xóa gì. `hie hold list` liệt kê các lệnh lưu giữ; hãy xóa sau khi lệnh kết thúc."),
    ErrorCode("STILL_UNDER_WAY", "207", "", True, "Part of it is still on its way through the hub, which has to run until it has arrived. Nothing was erased; try again in a moment.", "Một phần dữ liệu còn đang đi qua hub; hub phải chạy đến khi dữ liệu đến nơi. Chưa xóa gì; hãy thử lại sau giây lát."),
    ErrorCode("MONTH_OPEN", "207", "", False, "The month is not over; it can be closed from the first day of the next one on.", "Tháng chưa kết thúc; có thể chốt từ ngày đầu tháng sau."),
    ErrorCode("NOT_FOUND", "204", "", False, "There is nothing under this name or id.", "Không có gì với tên hoặc mã này."),
    ErrorCode("RIGHT_MISSING", "207", "", False, "The role of this person does not allow it.", "Vai trò của người dùng này không cho phép."),
)  # fmt: skip

ERRORS: Final[dict[str, ErrorCode]] = {row.code: row for row in _ROWS}


class HubError(Exception):
    """Work stops here, for a reason that the table names.

    code:  a row of `ERRORS`.
    where: the place, such as `PID-3.1`, a topic or a port; never a value out of a message.
    """

    def __init__(self, code: str, where: str = "") -> None:
        self.row = ERRORS[code]
        self.where = where
        super().__init__(code, where)

    @property
    def code(self) -> str:
        return self.row.code

    @property
    def retriable(self) -> bool:
        return self.row.retriable

    def __str__(self) -> str:
        place = f" [{self.where}]" if self.where else ""
        return f"{self.code}{place}: {self.row.en}"


GUESSED: Final = frozenset(
    {
        "MESSAGE_CUT",
        "AMOUNT_DOUBTFUL",
        "KEY_MISSING",
        "CLAIM_REPEATED",
        "FACILITY_UNKNOWN",
        "IDENTIFIER_INFERRED",
        "IDENTIFIER_UNREAD",
        "VISIT_IS_CITIZEN_NUMBER",
        "RESULT_STATE_UNKNOWN",
        "PRIORITY_UNKNOWN",
        "NAME_ODD",
        "FIELDS_SHIFTED",
        "RESULT_STATE_DOUBTFUL",
        "VALUE_TYPE_UNKNOWN",
        "PERSON_MISSING",
        "TEST_MISSING",
        "TEST_CODE_WRONG",
        "CHARGE_KIND_UNKNOWN",
        "LINE_NUMBER_SHARED",
        "NUMBER_SHARED",
        "CONTROL_ID_SHARED",
        "NOTE_NOT_PASSED_ON",
        "ORDER_DIFFERS",
        "APPOINTMENT_DIFFERS",
        "REPETITION_DROPPED",
        "DIAGNOSIS_OF_LAST",
        "CONTENT_NOT_PASSED_ON",
        "CHARSET_DECLARED_WRONG",
        "CHARSET_DOUBTFUL",
        "SEGMENT_UNREADABLE",
        "DELIMITERS_ODD",
    }
)
"""Findings of grade C of `hie vendor check`, beside whatever stands in `meta.unparsed` of an event; all other warnings are B."""
LOST: Final = GUESSED | {
    "TIME_UNPARSABLE",
    "NUMBER_UNPARSABLE",
    "NUMBER_DOUBTFUL",
    "CODE_UNKNOWN",
    "CURRENCY_FOREIGN",
    "FACILITY_SAME",
    "RECEIVER_UNKNOWN",
    "PERFORMER_UNKNOWN",
}
"""Warnings of what is lost, guessed or stays here: told before those that concern the form alone."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one message.

    code:     a row of `ERRORS`.
    severity: an error refuses the message; anything else goes with an accepted one.
    path:     HL7 path (`PID-3[2].1`, `OBX[4]-5`) or XML place (`XML2[3]/SO_LUONG`); "" for the message as a whole.
    """

    code: str
    severity: Severity = Severity.WARNING
    path: str = ""

    @property
    def row(self) -> ErrorCode:
        return ERRORS[self.code]

    @property
    def text(self) -> str:
        """The plain sentence, in English, without any value of the message."""
        return self.row.en
