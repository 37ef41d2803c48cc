"""Training speed of the recurrent family against the same model as a plain loop of PyTorch modules, in one run.

    python tests/benchmarks/loops.py --updates 20

The plain loop is what a straightforward program does: packed `nn.GRU` or `nn.LSTM` encoder, one call of the decoder's
`nn.GRU` or `nn.LSTM`, one attention and one read-out a step, then the logits of all steps and `cross_entropy`. Sizes,
parameters, dropout, batches, optimiser and clipping are the same; the two take turns, and the median of the ratios of
neighbouring rounds counts, since a processor's clock drifts.

Shape key: B sentences, S source positions, T target positions, E embedding width, U units, D annotation width.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from speed import load
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmtkit.batches.batch import Batch, make_batch
from nmtkit.batches.order import window_batches
from nmtkit.memory import keep_freed_memory
from nmtkit.models.build import build, parameters
from nmtkit.models.options import RecurrentOptions, preset
from nmtkit.specials import PAD
from nmtkit.training.options import TrainingOptions
from nmtkit.training.updater import make_optimizer

SMOOTHING = 0.1
ROUNDS = 3


class PlainLoop(nn.Module):
    """One encoder and one decoder layer; additive attention in Bahdanau's order or general in Luong's."""

    def __init__(self, options: RecurrentOptions, size: int) -> None:
        super().__init__()
        unit = {"gru": nn.GRU, "lstm": nn.LSTM}[options.cell]
        width, units, own, annotation = (
            options.embedding,
            options.units,
            options.encoder_units or options.units,
            options.annotation,
        )
        self.options, self.own, self.dropout = options, own, nn.Dropout(options.dropout)
        self.embedding = nn.Embedding(size, width, padding_idx=PAD)
        self.encoder = unit(width, own, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(own, units * (1 + (options.cell == "lstm")))
        self.additive = options.score == "additive"
        fed = annotation if options.order == "bahdanau" else width * options.input_feeding
        self.decoder = unit(width + fed, units, batch_first=True)
        if self.additive:
            self.key, self.query = nn.Linear(annotation, options.attention), nn.Linear(units, options.attention)
            self.vector = nn.Linear(options.attention, 1, bias=False)
        else:
            self.key = nn.Linear(annotation, units, bias=False)
        read = units + annotation + width * (options.order == "bahdanau")
        self.readout = nn.Linear(read, width, bias=options.order == "bahdanau")

    def attend(self, query_BU: Tensor, keys: Tensor, annotations: Tensor, mask_BS: Tensor) -> Tensor:
        """The context, (B, D)."""
        if self.additive:
            energies_BS = self.vector(torch.tanh(self.query(query_BU).unsqueeze(1) + keys)).squeeze(2)
        else:
            energies_BS = torch.bmm(keys, query_BU.unsqueeze(2)).squeeze(2)
        weights_BS = torch.softmax(energies_BS.masked_fill(~mask_BS, -torch.inf), dim=1)
        return torch.bmm(weights_BS.unsqueeze(1), annotations).squeeze(1)

    def loss(self, batch: Batch) -> Tensor:
        """Summed cross-entropy in nats."""
        lengths = batch.mask_BS.sum(1)
        source = pack_padded_sequence(
            self.dropout(self.embedding(batch.source_BS)), lengths, batch_first=True, enforce_sorted=False
        )
        annotations, _ = pad_packed_sequence(self.encoder(source)[0], batch_first=True)
        first = torch.tanh(self.bridge(annotations[:, 0, self.own :])).unsqueeze(0)
        state = first if self.options.cell == "gru" else tuple(part.contiguous() for part in first.chunk(2, dim=2))
        annotations = self.dropout(annotations)
        keys = self.key(annotations)
        words_BTE = self.dropout(self.embedding(batch.target_in_BT))
        step = self.bahdanau if self.options.order == "bahdanau" else self.luong
        outputs = step(words_BTE, state, keys, annotations, batch.mask_BS)
        logits = outputs @ self.embedding.weight.T
        return nn.functional.cross_entropy(
            logits.flatten(0, 1),
            batch.target_out_BT.flatten(),
            ignore_index=PAD,
            label_smoothing=SMOOTHING,
            reduction="sum",
        )

    def bahdanau(self, words_BTE: Tensor, state: Tensor, keys: Tensor, annotations: Tensor, mask_BS: Tensor) -> Tensor:
        """Query, context, unit, read-out."""
        outputs = []
        for word_B1E in words_BTE.split(1, dim=1):
            context_BD = self.attend(state[0], keys, annotations, mask_BS)
            hidden_B1U, state = self.decoder(torch.cat((word_B1E, context_BD.unsqueeze(1)), dim=2), state)
            read = torch.cat((self.dropout(hidden_B1U.squeeze(1)), word_B1E.squeeze(1), context_BD), dim=1)
            outputs.append(self.dropout(torch.tanh(self.readout(read))))
        return torch.stack(outputs, dim=1)

    def luong(self, words_BTE: Tensor, state: Tensor, keys: Tensor, annotations: Tensor, mask_BS: Tensor) -> Tensor:
        """Unit, query, context, output; the output goes into the next unit where it is fed."""
        fed_BE, outputs = words_BTE.new_zeros(words_BTE.shape[0], words_BTE.shape[2]), []
        for word_B1E in words_BTE.split(1, dim=1):
            read = torch.cat((word_B1E, fed_BE.unsqueeze(1)), dim=2) if self.options.input_feeding else word_B1E
            hidden_B1U, state = self.decoder(read, state)
            hidden_BU = self.dropout(hidden_B1U.squeeze(1))
            context_BD = self.attend(hidden_BU, keys, annotations, mask_BS)
            fed_BE = self.dropout(torch.tanh(self.readout(torch.cat((context_BD, hidden_BU), dim=1))))
            outputs.append(fed_BE)
        return torch.stack(outputs, dim=1)


def trainer(model: nn.Module, add: Callable[[Batch, int], None]) -> Callable[[list[Batch], list[int]], float]:
    """What runs updates over batches and says how many seconds they took."""
    optimizer = make_optimizer(model, TrainingOptions())  # type: ignore[arg-type]

    def run(batches: list[Batch], tokens: list[int]) -> float:
        started = time.perf_counter()
        for batch, count in zip(batches, tokens, strict=True):
            add(batch, count)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - started

    return run


def compare(name: str, options: RecurrentOptions, batches: list[Batch], size: int) -> None:
    """Print one line: pieces a second of both, and their ratio."""
    torch.manual_seed(1)
    ours = build(replace(options, tie_source=True), source_size=size, target_size=size).train()
    plain = PlainLoop(options, size).train()
    tokens = [int((batch.target_out_BT != PAD).sum()) for batch in batches]

    def add_plain(batch: Batch, count: int) -> None:
        (plain.loss(batch) / count).backward()  # type: ignore[no-untyped-call]

    def add_ours(batch: Batch, count: int) -> None:
        log_probs = ours.decode(ours.encode(batch.source_BS, batch.mask_BS), batch.target_in_BT)
        (log_probs.loss(batch.target_out_BT, SMOOTHING) / count).backward()  # type: ignore[no-untyped-call]

    both = trainer(ours, add_ours), trainer(plain, add_plain)
    for run in both:
        run(batches, tokens)  # the first round pays for the growth of the heap
    seconds = [[run(batches, tokens) for run in both] for _ in range(ROUNDS)]
    pieces = sum(tokens) + sum(int(batch.mask_BS.sum()) for batch in batches)
    fast, slow = (pieces / statistics.median(column) for column in zip(*seconds, strict=True))
    ratio = statistics.median(loop / own for own, loop in seconds)
    print(
        f"{name}: {fast:,.0f} source+target pieces/s with {parameters(ours):,} parameters; plain loop {slow:,.0f} "
        f"with {parameters(plain):,}; {ratio:.2f} times as fast",
        flush=True,
    )


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=10)
    arguments = parser.parse_args()
    keep_freed_memory()
    multi30k = os.environ.get("MULTI30K")
    corpus, tokenizer, title = load(Path(multi30k) if multi30k else None)
    print(f"{title}, torch {torch.__version__}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}")
    batches = [make_batch(corpus, one) for one in window_batches(corpus, 4096, 1, 0, 0)[: arguments.updates]]
    luong = preset("luong-general")
    assert isinstance(luong, RecurrentOptions)
    for name, options in (
        ("GRU, additive, Bahdanau's order", preset("bahdanau")),
        ("LSTM, general, input feeding", luong),
        ("LSTM, general, no input feeding", replace(luong, input_feeding=False)),
    ):
        assert isinstance(options, RecurrentOptions)
        compare(name, options, batches, tokenizer.target.size)


if __name__ == "__main__":
    main()
