"""Lines and whole files."""

import errno
import hashlib
import io
import json
import os
import stat
import subprocess

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmtkit import files
from nmtkit.encoding import foreign

ANY_TEXT = st.text(st.characters())  # lone surrogates too
LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))


@settings(deadline=None)
@given(lines=st.lists(LINE), last_has_end=st.booleans())
def test_any_text_is_read_back(tmp_path_factory, lines, last_has_end):
    path = tmp_path_factory.mktemp("files") / "text"
    content = "\n".join(lines) + ("\n" if lines and last_has_end else "")
    path.write_bytes(content.encode())
    expected = content.removeprefix("\ufeff").split("\n")
    expected = expected[:-1] if expected[-1] == "" else expected
    ended = len(expected) if content.endswith("\n") else len(expected) - 1
    expected = [line[:-1] if line.endswith("\r") and i < ended else line for i, line in enumerate(expected)]
    warnings = []
    assert files.read_lines(path) == expected
    assert list(files.lenient_lines(io.BytesIO(content.encode()), "text", warnings.append)) == expected
    assert warnings == []


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"a\r\nb\r\r\n", ["a", "b\r"]),
        (b"a\rb\x0bc\x0cd\xe2\x80\xa8e\xc2\x85f\n", ["a\rb\x0bc\x0cd\u2028e\x85f"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n", [""]),
        (b"a\0b\n\r", ["a\0b", "\r"]),
    ],
)
def test_what_a_line_is(tmp_path, content, lines):
    path = tmp_path / "text"
    path.write_bytes(content)
    assert files.read_lines(path) == lines
    assert list(files.lenient_lines(io.BytesIO(content), "text", pytest.fail)) == lines


def test_bytes_that_are_not_utf8_are_refused_with_file_and_line(tmp_path):
    path = tmp_path / "latin.de"
    path.write_bytes(b"gut\nsch\xf6n\n")
    with pytest.raises(ValueError, match=r"latin\.de, line 2: not valid UTF-8 at byte 4 \(0xF6\); .* mend this one"):
        files.read_lines(path)
    path.write_bytes(b"\xed\xa0\x80\n")  # a surrogate is not UTF-8 either
    with pytest.raises(ValueError, match="line 1"):
        files.read_lines(path)


@settings(deadline=None)
@given(content=st.binary())
def test_lenient_lines_never_stop_and_warn_for_exactly_the_invalid_lines(content):
    assume(not foreign(content.split(b"\n")[0]))
    warnings = []
    lines = list(files.lenient_lines(io.BytesIO(content), "input", warnings.append))
    raw = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    raw = raw[:-1] if raw[-1] == b"" else raw
    bad = [i for i, line in enumerate(raw, start=1) if "�" in line.decode(errors="replace") and not _valid(line)]
    assert len(lines) == len(raw)
    assert [warning.split(":")[0] for warning in warnings] == [f"input, line {i}" for i in bad]
    assert all("�" in lines[i - 1] for i in bad)


def _valid(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_lenient_lines_arrive_one_by_one():
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source, os.fdopen(write, "wb") as sink:
        sink.write(b"first\n")
        sink.flush()
        assert next(files.lenient_lines(source, "input", pytest.fail)) == "first"


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.txt: no such file"):
        files.read_lines(tmp_path / "nothing.txt")
    with pytest.raises(ValueError, match="is a folder"):
        files.read_lines(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be read"):
        files.read_lines(tmp_path / "file" / "below")


def test_parallel_files_must_have_as_many_lines(tmp_path):
    for name, content in {"a": "1\n2\n", "b": "1\n2\n3", "c": "x\ny\n", "empty": ""}.items():
        (tmp_path / name).write_text(content)
    assert files.read_parallel(tmp_path / "a", tmp_path / "c") == [["1", "2"], ["x", "y"]]
    with pytest.raises(ValueError, match=r"a has 2 lines, .*b has 3 lines, .*c has 2 lines"):
        files.read_parallel(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    with pytest.raises(ValueError, match="empty has 0 lines; give at least one line"):
        files.read_parallel(tmp_path / "empty", tmp_path / "empty")


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_text_is_written_as_it_is(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("files") / "text"
    files.write_text(path, text)
    assert path.read_bytes() == text.encode("utf-8", "backslashreplace")
    assert os.listdir(path.parent) == ["text"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


@settings(deadline=None)
@given(value=JSON)
def test_json_is_read_back_even_with_lone_surrogates(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("files") / "value.json"
    files.write_json(path, value)
    assert json.loads(path.read_bytes()) == value
    assert path.read_bytes().endswith(b"\n")


def test_a_file_name_that_is_not_utf8_can_be_recorded(tmp_path):
    name = os.fsdecode(b"corpus-\xff.de")
    files.write_json(tmp_path / "value.json", {"file": name})
    assert json.loads((tmp_path / "value.json").read_bytes()) == {"file": name}
    files.write_text(tmp_path / "report", name)
    assert (tmp_path / "report").read_bytes() == b"corpus-\\udcff.de"


def test_json_that_is_none_leaves_the_old_file(tmp_path):
    path = tmp_path / "value.json"
    files.write_json(path, 1)
    with pytest.raises(ValueError, match=r"value\.json: cannot be written as JSON"):
        files.write_json(path, float("nan"))
    assert path.read_text() == "1\n"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, failure):
    path = tmp_path / "model"
    path.write_text("old")
    with pytest.raises(failure), files.replacing(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path and path.read_text() == "old"
        raise failure
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["model"]


def test_a_full_disk_is_reported_under_the_name_the_user_gave(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(OSError, match=r"model'$") as caught, files.replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []


def test_bytes_are_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    path = tmp_path / "model"
    events = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(descriptor):
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("folder" if folder else f"file of {os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def logged_replace(source, target):
        events.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    files.write_text(path, "new")
    assert events == ["file of 3 bytes", "replace", "folder"]


def test_permissions_and_links_survive(tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    files.write_text(link, "new")
    assert link.is_symlink() and path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_files_get_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "new", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_pipe_is_fed_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write_text(pipe, "hello")
        assert os.read(reader, 100) == b"hello"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    files.write_text("/dev/null", "hello")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_folders_are_no_files(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        files.write_text(tmp_path, "x")
    with pytest.raises(ValueError, match=r"nowhere does not exist; create it first"):
        files.write_text(tmp_path / "nowhere" / "file", "x")


def test_whether_a_file_can_be_written_is_known_beforehand(tmp_path):
    """Folders that will be made must have room: a file is in nobody's way."""
    (tmp_path / "file").touch()
    for parents in (False, True):
        for good in ("new", "file", "/dev/null"):
            files.check_replaceable(tmp_path / good, parents)
        for wrong, said in (("", "is a folder; name a file"), ("file/x", "is a file, no folder")):
            with pytest.raises(ValueError, match=said):
                files.check_replaceable(tmp_path / wrong, parents)
    with pytest.raises(ValueError, match="does not exist"):
        files.check_replaceable(tmp_path / "a" / "b")
    files.check_replaceable(tmp_path / "a" / "b" / "c", parents=True)
    with pytest.raises(ValueError, match="is a file, no folder"):
        files.check_replaceable(tmp_path / "file" / "b" / "c", parents=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_dash_is_standard_input(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_text("no\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\r\n\xc3\xa9\n")))
    assert files.read_lines("-") == ["a", "é"]
    assert files.read_lines(tmp_path / "-") == ["no"]


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), max_size=5))
def test_the_hash_of_lines_is_that_of_their_file(lines):
    assert files.sha256_of_lines(lines) == hashlib.sha256("".join(f"{x}\n" for x in lines).encode()).hexdigest()


def test_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    assert files.sha256(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/urandom"])
@pytest.mark.parametrize("read", [files.read_lines, files.read_toml])
def test_a_device_without_end_is_no_file(device, read):
    with pytest.raises(ValueError, match=f"^{device}: is a device, which has no end; name a text file$"):
        read(device)


def test_nothing_is_in_dev_null():
    assert files.read_lines("/dev/null") == [] and files.read_toml("/dev/null") == {}


def test_a_path_that_no_file_can_have():
    with pytest.raises(ValueError, match=r"'a\\x00b': cannot be a path"):
        files.read_lines("a\0b")


def test_a_configuration_from_a_pipe(tmp_path):
    """As a shell makes it of <(command); one into which nobody writes would keep us waiting."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="a pipe into which nobody writes"):
        files.read_toml(pipe)
    program = "sleep 0.3; echo 'beam = 3'; sleep 0.3; echo 'n-best = 2'"
    with subprocess.Popen(["sh", "-c", program], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert files.read_toml(f"/dev/fd/{writer.stdout.fileno()}") == {"beam": 3, "n-best": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a", "not TOML: "),
        (b"a = \xff", "not TOML: it is not valid UTF-8"),
        (b"#" * 1_000_001, "not TOML: larger than 1,000,000 bytes"),
        (b"a = " + b"[" * 100_000, "not TOML: "),
        (b"a = " + b"9" * 10_000, "not TOML: "),
        ("a = 1".encode("utf-16"), "not TOML: it is not valid UTF-8"),
    ],
    ids=["cut", "byte", "large", "deep", "long", "wide"],
)
def test_what_is_no_toml(tmp_path, content, message):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        files.read_toml(path)
    assert str(caught.value).startswith(f"{path}: ")
