"""Who may only look changes nothing, and nobody changes anything without a reason."""

from hub.console.change import check


class _Viewer:
    def may(self, right):
        return right == "see"


def test_a_viewer_may_not_act_and_nobody_acts_without_a_reason():
    assert check(_Viewer(), "en", "a reason") == "Your role may only look."
    operator = type("Operator", (), {"may": lambda _self, right: right in ("see", "act")})()
    assert check(operator, "en", "  ") == "Say why."
    assert check(operator, "en", "a reason") == ""
