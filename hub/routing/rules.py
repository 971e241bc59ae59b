"""The rules of routing in words: why an event goes where it goes, waits, or is for nobody.

The ids stand in every delivery; a test holds them to the table in this folder's README.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in both languages."""

    en: str
    vi: str


RULES: Final[Mapping[str, Words]] = {
    "referral-to-receiver": Words("A slip goes to the facility it names as receiver.", "Giấy chuyển được gửi đến cơ sở nhận ghi trên giấy."),
    "referral-to-portal": Words("A slip goes to the insurance portal too, for the citizen's app.", "Giấy chuyển cũng được gửi lên cổng bảo hiểm để người dân xem trên ứng dụng."),
    "referral-redirected": Words("Whoever had the slip rejected it and named this facility.", "Nơi đang giữ giấy đã từ chối và chỉ sang cơ sở này."),
    "referral-withdrawn": Words("The slip is not meant for this facility any more.", "Giấy chuyển không còn dành cho cơ sở này."),
    "referral-to-payer": Words("The payer of the person, found by the card or the facility, hears of the slip and what becomes of it.", "Bên chi trả của người bệnh, xác định theo thẻ hoặc cơ sở, được báo về giấy chuyển và diễn biến."),
    "referral-left-payer": Words("A payer that had an older statement of the slip hears that it is not of its insured any more.", "Bên chi trả đã nhận nội dung cũ của giấy chuyển được báo giấy không còn thuộc về mình."),
    "nobody-withdrawn": Words("The slip comes to the facility by another way, or the directory has no such facility, so nobody is told.", "Giấy vẫn đến cơ sở này theo đường khác, hoặc cơ sở không có trong danh bạ, nên không báo ai."),
    "answer-to-issuer": Words("The receiver's answer goes to the issuer of the slip.", "Trả lời của nơi nhận được gửi về nơi cấp giấy."),
    "arrival-to-issuer": Words("The issuer hears that the person has arrived.", "Nơi cấp giấy được báo người bệnh đã đến."),
    "arrival-cancelled-to-issuer": Words("The issuer hears that the arrival was entered in error.", "Nơi cấp giấy được báo lượt đến đã nhập nhầm."),
    "referral-arrived": Words("A visit that belongs to a slip is its arrival.", "Lượt khám thuộc một giấy chuyển là lượt đến theo giấy đó."),
    "arrival-cancelled": Words("The visit was the arrival of a slip and was entered in error.", "Lượt khám là lượt đến theo giấy chuyển và đã nhập nhầm."),
    "referral-used-again": Words("The slip was used for a further visit.", "Giấy chuyển được dùng cho thêm một lượt khám."),
    "nobody-use-void": Words("The other visits were cancelled, so the slip was used once.", "Các lượt khám khác đã hủy nên giấy chỉ được dùng một lần."),
    "referral-expired": Words("A slip ends with its last day.", "Giấy chuyển hết hiệu lực khi qua ngày cuối."),
    "expiry-to-issuer": Words("The issuer hears that the slip has expired.", "Nơi cấp giấy được báo giấy đã hết hạn."),
    "expiry-to-receiver": Words("The receiver hears that the slip has expired.", "Nơi nhận được báo giấy đã hết hạn."),
    "nobody-expiry-void": Words("The slip has ended otherwise or was prolonged, so its expiry concerns nobody.", "Giấy đã kết thúc cách khác hoặc được gia hạn nên không báo hết hạn."),
    "answer-to-orderer": Words("What the laboratory says of an order goes to whoever ordered.", "Trả lời của phòng xét nghiệm về chỉ định được gửi đến nơi chỉ định."),
    "order-to-laboratory": Words("An order goes to the other facility that shall perform it.", "Chỉ định được gửi đến cơ sở khác thực hiện."),
    "result-to-orderer": Words("A result goes to who ordered it.", "Kết quả được gửi về nơi chỉ định."),
    "result-to-receiver": Words("A result of a person with an open slip goes to the receiver of the slip.", "Kết quả của người có giấy chuyển còn hiệu lực được gửi đến nơi nhận."),
    "nobody-held-sensitive": Words("It is protected (HIV, mental or reproductive health): neither the citizen's app nor anybody else who is not named gets it until consent is known.", "Thông tin được bảo vệ (HIV, sức khỏe tâm thần hoặc sinh sản): chưa gửi lên ứng dụng của người dân hay nơi nhận nào khác không được nêu tên, đến khi có sự đồng ý."),
    "follow-up-to-portal": Words("A follow-up slip goes to the insurance portal.", "Giấy hẹn khám lại được gửi lên cổng bảo hiểm."),
    "summary-to-portal": Words("The discharge paper and the treatment summary of a claim go to the insurance portal, for the citizen's app; a cancelled claim takes them back.", "Giấy ra viện và tóm tắt hồ sơ bệnh án của hồ sơ được gửi lên cổng bảo hiểm để người dân xem trên ứng dụng; hồ sơ bị hủy thì thu lại."),
    "claim-to-payer": Words("A claim goes to its payer, found by the card or the facility.", "Hồ sơ được gửi đến bên chi trả xác định theo thẻ hoặc cơ sở."),
    "claim-to-supplementary": Words("A supplementary insurer that the claim names gets a copy once the primary payer has decided.", "Bên bảo hiểm bổ sung ghi trên hồ sơ nhận bản sao sau khi bên chi trả chính đã quyết định."),
    "claim-withdrawn": Words("A payer that had an older claim of this visit hears that it has none any more.", "Bên chi trả đã nhận hồ sơ cũ của đợt khám được báo hồ sơ không còn thuộc về mình."),
    "nobody-claim-gone": Words("The claim that a supplementary insurer should get is no longer kept by its topic.", "Hồ sơ cần gửi bên bảo hiểm bổ sung không còn được lưu."),
    "decision-checked-shared": Words("The decision matches a claim that this payer was sent, and a supplementary insurer may have to hear of it.", "Quyết định khớp hồ sơ đã gửi bên chi trả này và có thể phải báo bên bảo hiểm bổ sung."),
    "decision-checked": Words("The decision matches a claim that this payer was sent, and is passed on.", "Quyết định khớp hồ sơ đã gửi bên chi trả này nên được chuyển tiếp."),
    "nobody-decision-mismatch": Words("The decision matches no claim that this payer was sent.", "Quyết định không khớp hồ sơ nào đã gửi bên chi trả này."),
    "nobody-simulated": Words("The claim came from no message: it was simulated, and nobody waits for the decision.", "Hồ sơ không đến từ bản tin nào: hồ sơ mô phỏng, không ai chờ quyết định."),
    "nobody-withdrawal-heard": Words("A payer answers that a claim is not its own any more; that is no word on the claim in force.", "Bên chi trả xác nhận hồ sơ không còn thuộc về mình; đó không phải quyết định về hồ sơ đang có hiệu lực."),
    "request-to-facility": Words("What a payer asks for before it decides goes to the facility that sent the claim.", "Yêu cầu bổ sung thông tin của bên chi trả được gửi về cơ sở đã gửi hồ sơ."),
    "payment-to-facility": Words("What a payer has paid goes to the facility that sent the claim.", "Thông báo thanh toán của bên chi trả được gửi về cơ sở đã gửi hồ sơ."),
    "decision-to-facility": Words("A payer's decision goes to the facility that sent the claim.", "Quyết định được gửi về cơ sở đã gửi hồ sơ."),
    "encounter-settled": Words("The visit has ended, and its claim is assembled once it has settled.", "Đợt khám đã kết thúc; hồ sơ được lập sau thời gian chờ."),
    "claim-line-replaced": Words("What was done in the visit became one claim, in which a charge took the place of one of another item that had the same number of a line (FT1-2), or a credit took it back: it is a correction, or the other is missing. Ask the sender; if its FT1-2 counts anew in each message, its profile needs line_id = \"\" under [charge_line].", "Các dịch vụ của đợt khám đã được lập thành một hồ sơ, trong đó một dòng chi phí thay, hoặc một khoản hoàn lại hủy, dòng của dịch vụ khác có cùng số dòng (FT1-2): đó là sửa chữa, hoặc dịch vụ kia bị thiếu. Hãy hỏi bên gửi; nếu FT1-2 đếm lại trong mỗi bản tin, hồ sơ của bên gửi cần line_id = \"\" ở [charge_line]."),
    "claim-assembled": Words("What was done in the visit became one claim.", "Các dịch vụ của đợt khám đã được lập thành một hồ sơ."),
    "nobody-claim-own": Words("The facility sent a claim of its own, so none is assembled.", "Cơ sở đã tự gửi hồ sơ nên hub không lập."),
    "nobody-claim-not-ours": Words("The facility makes the claims of visits that ended on that day itself.", "Hồ sơ của đợt khám kết thúc ngày đó do cơ sở tự lập."),
    "nobody-claim-unassembled": Words("The claim cannot be assembled: too many parts, or some are no longer kept.", "Không lập được hồ sơ: quá nhiều thành phần hoặc có thành phần không còn lưu."),
    "nobody-encounter-open": Words("The visit is open again, so nothing is assembled yet.", "Đợt khám được mở lại nên chưa lập hồ sơ."),
    "nobody-encounter-cancelled": Words("The visit was cancelled before it had a claim.", "Đợt khám bị hủy trước khi có hồ sơ."),
    "nobody-encounter": Words("The visit concerns no other facility.", "Lượt khám không liên quan cơ sở khác."),
    "nobody-order": Words("The order concerns no other facility.", "Chỉ định không liên quan cơ sở khác."),
    "nobody-result-unordered": Words("No order and no slip asks for this result of a laboratory yet; it is given later when one comes within 30 days.", "Chưa có chỉ định hay giấy chuyển nào cho kết quả này của phòng xét nghiệm; sẽ được gửi khi có trong vòng 30 ngày."),
    "nobody-result-stranger": Words("The directory does not know the facility that the sender names (MSH-4), so an order that names its laboratory is not found for this result. Put the facility into the directory, or its name among the aliases of its profile, and let the result be sent again.", "Danh bạ không có cơ sở mà bên gửi nêu (MSH-4) nên không tìm được chỉ định có ghi phòng xét nghiệm cho kết quả này. Hãy thêm cơ sở vào danh bạ hoặc thêm tên vào bí danh của hồ sơ, rồi gửi lại kết quả."),
    "nobody-unnamed": Words("The result or order says of no person whose it is: neither a number (PID-3) nor a name (PID-5). Nobody gets it, not even who ordered or is to perform it, until its sender sends it again with the patient.", "Kết quả hoặc chỉ định không ghi của ai: không có số định danh (PID-3) lẫn họ tên (PID-5). Không ai nhận được, kể cả nơi chỉ định hay nơi thực hiện, cho đến khi bên gửi gửi lại kèm người bệnh."),
    "nobody-other-person": Words("A slip, and a result or visit, have a card or citizen number in common and are of two persons: patient numbers of one facility, or name, birth date and sex, differ. The receiver is not given the result, and no arrival is told. Whoever has the wrong number in its system has to mend it and send it again.", "Giấy chuyển và kết quả hoặc lượt khám có chung số thẻ hoặc số định danh nhưng của hai người: mã người bệnh ở cùng cơ sở, hoặc họ tên, ngày sinh, giới tính khác nhau. Nơi nhận không được gửi kết quả, lượt đến không được báo. Nơi ghi sai số cần sửa và gửi lại."),
    "nobody-result": Words("The result concerns nobody else yet; it is given later when its order or slip comes.", "Kết quả chưa liên quan nơi khác; sẽ được gửi khi có chỉ định hoặc giấy chuyển."),
    "nobody-action": Words("No rule knows this action; of an order it is what its ORC-1 says, which has no row under [codes.order_control] of its sender's profile.", "Không có quy tắc cho hành động này; với chỉ định, đó là mã ở ORC-1 mà hồ sơ của bên gửi không có dòng ở [codes.order_control]."),
    "nobody-cannot-receive": Words("The facility cannot receive such a thing, by the directory, so its sender has to reach it otherwise.", "Theo danh bạ, cơ sở không nhận được loại thông tin này; bên gửi cần chuyển bằng cách khác."),
    "nobody-self": Words("Sender and receiver are the same.", "Bên gửi cũng là bên nhận."),
    "nobody-person": Words("Registrations of persons are recorded only.", "Thông tin đăng ký người bệnh chỉ được ghi lại."),
    "nobody-charge": Words("Charges are recorded only.", "Chi phí chỉ được ghi lại."),
    "nobody-prescription": Words("Prescriptions are recorded only.", "Đơn thuốc chỉ được ghi lại."),
    "nobody-document": Words("Documents are recorded only.", "Tài liệu chỉ được ghi lại."),
    "nobody-catalogue": Words("Changes of catalogues are recorded only.", "Thay đổi danh mục chỉ được ghi lại."),
    "nobody-resource": Words("Reports of resources are recorded only.", "Báo cáo nguồn lực chỉ được ghi lại."),
    "repeat": Words("The same was said already.", "Nội dung này đã được gửi trước đó."),
    "T05": Words("The same claim was sent already.", "Hồ sơ này đã được gửi trước đó."),
    "superseded": Words("Something newer was said already.", "Đã có nội dung mới hơn."),
    "edited": Words("An operator put a mended event in its place while it waited.", "Người vận hành đã thay bằng sự kiện đã sửa khi đang chờ."),
}  # fmt: skip

SUCCESSOR: Final = "-successor"
"""End of a rule whose recipient stands for the facility that was meant: that one is closed and was merged into it."""
_SUCCESSOR: Final = Words("The facility meant was merged into this one.", "Cơ sở được gửi đến đã sáp nhập vào cơ sở này.")


def in_words(rule: str) -> Words:
    """A rule's sentence, empty for one that is not in the table; two where a successor stands in."""
    known = RULES.get(rule.removesuffix(SUCCESSOR), Words("", ""))
    return Words(f"{known.en} {_SUCCESSOR.en}", f"{known.vi} {_SUCCESSOR.vi}") if rule.endswith(SUCCESSOR) else known


REMEDIES: Final[Mapping[str, Words]] = {
    "RECEIVER_UNKNOWN": Words("Add the facility to the directory and release the key; or mend the code with `hie parked edit`; or let its sender say it anew and right.", "Thêm cơ sở vào danh bạ rồi giải phóng khóa; hoặc sửa mã bằng `hie parked edit`; hoặc để bên gửi gửi lại cho đúng."),
    "PAYER_UNKNOWN": Words("Add the payer to seeds/payers, restart the workers and release the key; or mend the card with `hie parked edit`; or let its sender say it anew and right.", "Thêm bên chi trả vào seeds/payers, khởi động lại rồi giải phóng khóa; hoặc sửa thẻ bằng `hie parked edit`; hoặc để bên gửi gửi lại cho đúng."),
    "EVENT_UNROUTABLE": Words("Tell the makers of the hub; release the key once it is mended, or discard the event.", "Báo nhóm phát triển hub; giải phóng khóa khi đã sửa, hoặc bỏ sự kiện."),
    "BEHIND": Words("An earlier event of its key waits; release, edit or discard that one; see `hie parked list`.", "Sự kiện trước cùng khóa đang chờ; hãy giải phóng, sửa hoặc bỏ sự kiện đó; xem `hie parked list`."),
}  # fmt: skip
