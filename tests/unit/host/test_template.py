"""Go templates as Docker's users write them."""
# ruff: noqa: E501 - tables of command lines and messages, one row a line

from functools import partial

import pytest

from pyd_host.cli.errors import PlainError
from pyd_host.cli.nulls import with_types
from pyd_host.cli.record import Record
from pyd_host.cli.template import Template

DATA = {
    "Id": "abc",
    "Name": "/web",
    "State": {"Status": "running", "Running": True, "Pid": 42, "Health": None},
    "Config": {"Env": ["A=1", "B=2"], "Cmd": None, "Labels": {"b": "2", "a": "1"}, "Volumes": None},
    "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "90/tcp": None},
    "Size": 1.5,
    "Whole": 3.0,
    "Mounts": [],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/web"),
        ("{{.ID}} {{.Id}}", "abc abc"),
        ("{{ .State.Status }}", "running"),
        ("{{.State.Running}} {{.State.Pid}} {{.Size}} {{.Whole}}", "true 42 1.5 3"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{.Config.Cmd}} {{json .Config.Cmd}} {{.Config.Volumes}}", "[] null map[]"),
        ("{{.State.Health}}", "<nil>"),
        ("{{json .State}}", '{"Status":"running","Running":true,"Pid":42,"Health":null}'),
        ("{{json .Config.Labels}}", '{"b":"2","a":"1"}'),
        ('{{index .Config.Labels "a"}}|{{index .Config.Labels "no"}}|', "1||"),
        ("{{index .Config.Env 1}}", "B=2"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}", "0=A=1 1=B=2 "),
        ("{{range $k, $v := .Config.Labels}}{{$k}}{{$v}}{{end}}", "a1b2"),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        ("{{range .Config.Env}}{{if eq . \"B=2\"}}{{break}}{{end}}{{.}}{{end}}", "A=1"),
        ("{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}", "B=2"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .Mounts}}a{{else if .Name}}b{{else}}c{{end}}", "b"),
        ("{{with .State}}{{.Pid}}{{end}}{{with .Mounts}}x{{else}}y{{end}}", "42y"),
        ("{{$n := .Name}}{{range .Config.Env}}{{$n}}{{$.Id}}{{end}}", "/webabc/webabc"),
        ("{{$n := 1}}{{if true}}{{$n = 2}}{{end}}{{$n}}", "2"),
        ("{{len .Config.Env}} {{len .Name}}", "2 4"),
        ("{{.Name | printf \"%s!\" | upper}}", "/WEB!"),
        ("{{printf \"%q %5d|%-4s|%v%%\" .Name .State.Pid .Id .Size}}", '"/web"    42|abc |1.5%'),
        ("{{join .Config.Env \",\"}} {{split \"a:b\" \":\"}} {{title \"ab cd\"}}", "A=1,B=2 [a b] Ab Cd"),
        ("{{lower \"AB\"}}{{pad \"x\" 1 2}}|{{truncate \"abcdef\" 3}}", "ab x  |abc"),
        ("{{slice .Name 1}} {{slice .Name 1 2}}", "web w"),
        ("{{and .Name .Id}} {{or \"\" .Id}} {{not .Name}}", "abc abc false"),
        ("{{eq .State.Pid 42}} {{ne .Id \"x\"}} {{lt 1 2}} {{ge 1 2}} {{eq .Id \"x\" \"abc\"}}", "true true true false true"),
        ("{{println .Id}}{{print .Id 1 2 .Id}}", "abc\nabc1 2abc"),
        ("a {{- .Id -}} b", "aabcb"),
        ("a{{/* nothing */}}b{{- /* trimmed */ -}} c", "abc"),
        ("{{\"a\\tb\"}}{{`c\\d`}}{{'x'}}", "a\tbc\\d120"),
        ("{{1}} {{-2}} {{1.5}} {{true}} {{0x10}}", "1 -2 1.5 true 16"),
        ("{{html \"<a>\"}} {{urlquery \"a b&\"}}", "&lt;a&gt; a+b%26"),
    ],
)  # fmt: skip
def test_a_template_prints(template: str, text: str) -> None:
    assert Template(template, null="<nil>").run(with_types(DATA)) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo", "template: :1: unclosed action"),
        ("{{if .Id}}x", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if}}x{{end}}", "template: :1: missing value for if"),
        ("{{}}", "template: :1: missing value for command"),
        ('{{"abc}}', "template: :1: unterminated quoted string"),
        ("{{foo .Id}}", 'template: :1: function "foo" not defined'),
        ("{{(.Id}}", "template: :1: unclosed left paren"),
        ("{{.Id)}}", "template: :1: unexpected ')' in command"),
        ("{{/* x", "template: :1: unclosed comment"),
        ('{{template "x"}}', "template: :1: template is not supported in a format"),
        ("{{.Id | }}", "template: :1: missing value for command"),
    ],
)
def test_a_broken_template_is_refused(template: str, message: str) -> None:
    with pytest.raises(PlainError) as caught:
        Template(template)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.State.Foo}}", 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'),
        ("x\n{{.Id.Foo}}", 'template: :2:5: executing "" at <.Id.Foo>: can\'t evaluate field Foo in type string'),
        ("{{len 3}}", 'template: :1:2: executing "" at <len>: error calling len: len of type int'),
        ("{{index .Config.Env 7}}", 'template: :1:2: executing "" at <index>: error calling index: index out of range: 7'),
        ("{{join .Config.Env}}", 'template: :1:2: executing "" at <join>: error calling join: wrong number of args for join'),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
    ],
)  # fmt: skip
def test_a_failing_template_says_where(template: str, message: str) -> None:
    with pytest.raises(PlainError) as caught:
        Template(template).run(DATA)
    assert caught.value.message == message


def test_a_row_has_columns_and_methods() -> None:
    columns = {"B": partial(str, "<2>"), "A": partial(str, "1")}
    row = Record("*formatter.Row", columns, {"Label": lambda name: name.upper()})
    assert (
        Template("{{.A}} {{json .}} {{json .B}}").run(row)
        == '1 {"A":"1","B":"\\u003c2\\u003e"} "<2>"'
    )
    assert Template('{{.Label "x"}}').run(row) == "X"
    with pytest.raises(PlainError, match=r"can't evaluate field C in type \*formatter\.Row"):
        Template("{{.C}}").run(row)
