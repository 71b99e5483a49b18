"""The user that ``--user`` means, and that only root can become another user."""

import grp
import os
import pwd

import pytest

from epollo.errors import OperatorError
from epollo.linux.privileges import Identity, become, resolve_identity

NOBODY = pwd.getpwnam("nobody")
NO_NAME = "3999999999"
A_GROUP = next(one for one in grp.getgrall() if one.gr_gid not in {0, NOBODY.pw_gid})


def test_a_name() -> None:
    groups = tuple(sorted(set(os.getgrouplist("nobody", NOBODY.pw_gid))))
    assert resolve_identity("nobody") == ("nobody", NOBODY.pw_uid, NOBODY.pw_gid, groups)


def test_a_number_that_has_a_name() -> None:
    text = str(NOBODY.pw_uid)
    assert resolve_identity(text) == resolve_identity("nobody")._replace(name=text)


@pytest.mark.parametrize("group", [A_GROUP.gr_name, str(A_GROUP.gr_gid)])
def test_a_group(group: str) -> None:
    identity = resolve_identity(f"nobody:{group}")
    assert identity.group == A_GROUP.gr_gid
    assert A_GROUP.gr_gid in identity.groups


def test_numbers_without_names() -> None:
    assert resolve_identity(f"{NO_NAME}:77") == (f"{NO_NAME}:77", int(NO_NAME), 77, (77,))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("no-such-user", "there is no user no-such-user"),
        ("", "there is no user (an empty name)"),
        (":www", "there is no user (an empty name)"),
        ("-1", "there is no user -1"),
        ("4294967295", "there is no user 4294967295"),
        ("\u0661", "there is no user \u0661"),
        ("a\0b", "there is no user a\0b"),
        ("nobody:", "there is no group (an empty name)"),
        ("nobody:no-such-group", "there is no group no-such-group"),
        ("nobody:4294967295", "there is no group 4294967295"),
        ("root", "--user is the user that root becomes, and cannot be root itself"),
        ("0:1000", "--user is the user that root becomes, and cannot be root itself"),
        (NO_NAME, f"user {NO_NAME} has no name here: name its group too, --user {NO_NAME}:GROUP"),
    ],
)
def test_a_user_that_is_not_known(text: str, line: str) -> None:
    with pytest.raises(OperatorError) as caught:
        resolve_identity(text)
    assert str(caught.value) == line


def test_only_root_becomes_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OperatorError, match="only root can become user nobody"):
        become(Identity("nobody", 65534, 65534, (65534,)))


def test_a_container_without_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(groups: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "setgroups", refuse)
    with pytest.raises(OperatorError, match="cannot become user nobody: Operation not permitted"):
        become(Identity("nobody", 65534, 65534, (65534,)))


def test_a_way_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *_: None)
    with pytest.raises(OperatorError, match="could be root again"):
        become(Identity("nobody", 65534, 65534, (65534,)))
