"""A dead letter that is mended and sent again becomes one result, by one run."""

from __future__ import annotations

from pathlib import Path

from tests.guarantees.operator import Operator
from tests.guarantees.scene import Scene, reference


async def test_a_mended_dead_letter_is_sent_again_once_and_buys_one_run(scene: Scene, tmp_path: Path) -> None:
    operator = Operator(tmp_path, scene)
    (tmp_path / "mended.json").write_bytes(reference("mended"))
    await scene.write_record(b'{"uri": "https://files.example.com/a.pdf"}', key=b"k", headers=(("trace", b"t"),))
    async with scene.worker():
        await scene.until(lambda history: len(history.dead_letters) == 1)
        source = f"{scene.topic}/0/0"
        listed = await operator.runs("replay", "--json")
        assert [(line["source"], line["reason"]) for line in listed.lines] == [(source, "UNKNOWN_FIELD")], listed.err
        for code in (0, 1):
            sent = await operator.runs("replay", "send", source, "--value", "mended.json", "--yes")
            assert sent.code == code, sent.err
        await scene.until_results(1)

    ((result, _),) = await scene.results()
    headers = dict(result.headers)
    (letter,) = await scene.dead_letters()
    assert result.key == b"k"
    assert headers["trace"] == b"t", "the original's own are kept"
    assert headers["extend.replay.of"] == f"{letter.partition}/{letter.offset}".encode()
    assert len(scene.runs) == 1
