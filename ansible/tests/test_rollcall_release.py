import json
import subprocess

ROW = {"image": "rollcall-haproxy", "release": "3.0", "settings": {"A": "1"}}


def test_a_release_is_pinned_to_its_image(tmp_path, run):
    marks = str(tmp_path / "bad.json")
    facts = run("rollcall_release", **ROW, marks=marks)["ansible_facts"]
    image = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", "rollcall-haproxy:3.0"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()
    assert (facts["replica_image"], facts["replica_release"]) == (image, "3.0")
    other = run("rollcall_release", **ROW | {"settings": {"A": "2"}}, marks=marks)["ansible_facts"]
    assert other["replica_spec"] != facts["replica_spec"]


def test_a_release_that_was_never_built_is_refused(tmp_path, run):
    result = run("rollcall_release", image="rollcall-haproxy", release="none", marks=str(tmp_path / "bad.json"))
    assert result["failed"] and "no image rollcall-haproxy:none" in result["msg"]


def test_a_bad_release_is_refused_by_its_image_unless_forced(tmp_path, run):
    marks = str(tmp_path / "bad.json")
    image = run("rollcall_release", **ROW, marks=marks)["ansible_facts"]["replica_image"]
    run("rollcall_release", state="bad", release="3.0", id=image, reason="5 % errors", marks=marks)
    result = run("rollcall_release", **ROW, marks=marks)
    assert result["failed"] and "5 % errors" in result["msg"] and "force=true" in result["msg"]
    assert "failed" not in run("rollcall_release", **ROW, marks=marks, force=True)


def test_half_a_list_of_bad_releases_refuses_and_is_not_overwritten(tmp_path, run):
    """What it no longer names would be rolled out again."""
    marks = tmp_path / "bad.json"
    marks.write_text('{"sha256:')
    for result in (
        run("rollcall_release", **ROW, marks=str(marks)),
        run("rollcall_release", state="bad", release="3.0", id="an image", reason="5 % errors", marks=str(marks)),
    ):
        assert result["failed"] and str(marks) in result["msg"] and "Mend or remove it" in result["msg"]
    assert marks.read_text() == '{"sha256:'


def test_o19_a_release_is_forgiven_whatever_image_it_had(tmp_path, run):
    """A canary was wrong, and the image has been built anew since."""
    marks = str(tmp_path / "bad.json")
    for image, release in (("sha256:a", "1.1.0"), ("sha256:b", "1.1.0"), ("sha256:c", "1.2.0")):
        run("rollcall_release", state="bad", release=release, id=image, reason="5 % errors", marks=marks)
    assert run("rollcall_release", check=True, state="forgiven", release="1.1.0", marks=marks)["changed"]
    result = run("rollcall_release", state="forgiven", release="1.1.0", marks=marks)
    assert (result["changed"], len(result["forgiven"]), result["others"]) == (True, 2, ["1.2.0"])
    assert not run("rollcall_release", state="forgiven", release="1.1.0", marks=marks)["changed"]
    assert list(json.loads((tmp_path / "bad.json").read_text())) == ["sha256:c"]
