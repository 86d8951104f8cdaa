def test_one_holds_it_and_the_other_learns_who(tmp_path, run):
    path = str(tmp_path / "lock")
    assert "failed" not in run("rollcall_lock", path=path, purpose="rolling to 1.1.0")
    second = run("rollcall_lock", path=path)
    assert second["failed"] and "rolling to 1.1.0" in second["msg"] and "unlock.yml" in second["msg"]
    assert run("rollcall_lock", path=path, state="free")["changed"]
    assert not run("rollcall_lock", path=path, state="free")["changed"]
    assert "failed" not in run("rollcall_lock", path=path)


def test_check_mode_takes_nothing(tmp_path, run):
    path = tmp_path / "lock"
    assert "failed" not in run("rollcall_lock", check=True, path=str(path))
    assert not path.exists()


def test_half_a_lock_is_a_lock(tmp_path, run):
    path = tmp_path / "lock"
    path.write_text("{")
    assert run("rollcall_lock", path=str(path))["failed"]


def test_no_stack_is_one_plain_line(tmp_path, run):
    result = run("rollcall_lock", path=str(tmp_path / "none" / "lock"))
    assert result["failed"] and "site.yml" in result["msg"]
