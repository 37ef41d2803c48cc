"""Every flag is exercised: a table from each command's parameters to the test that would notice if it did nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import typer.main

from nmtkit.cli.main import COMMANDS, app

SEARCH = "test_the_search_options_reach_the_search"
WHERE: dict[str, dict[str, str]] = {
    "check-data": {
        **dict.fromkeys(
            ["--train", "--dev", "--test", "--source-lang", "--target-lang", "--quiet", "--config"],
            "test_what_is_found_is_shown_in_80_columns",
        ),
        "--examples": "test_as_many_examples_as_asked_for_and_none",
        **dict.fromkeys(["--json", "--write-clean"], "test_json_and_a_clean_copy"),
        **dict.fromkeys(["--tokenizer", "--max-source", "--max-target"], "test_lengths_are_words_or_pieces"),
        "--strict": "test_strict_ends_with_1_if_there_are_problems",
    },
    "train-tokenizer": {
        "TEXTS": "test_a_joint_tokenizer_and_what_is_said",
        "--output": "test_a_joint_tokenizer_and_what_is_said",
        "--quiet": "test_a_joint_tokenizer_and_what_is_said",
        **dict.fromkeys(
            ["--vocab-size", "--kind", "--character-coverage", "--max-lines", "--seed", "--config", "--symbols"],
            "test_every_option_makes_another_tokenizer",
        ),
    },
    "prepare": {
        **dict.fromkeys(
            [
                *("--train", "--source-lang", "--target-lang", "--tokenizer", "--output", "--max-source"),
                *("--max-target", "--workers", "--quiet", "--config"),
            ],
            "test_prepared_ahead_is_what_train_makes_of_the_text",
        ),
    },
    "train": {
        "--cache": "test_the_cache_of_large_texts",
        "--verify-data": "test_the_cache_of_large_texts",
        **dict.fromkeys(
            [
                *("--train", "--dev", "--source-lang", "--target-lang", "--output", "--device", "--quiet"),
                *("--vocab-size", "--tokenizer-kind", "--separate-vocab", "--preset", "--dropout", "--seed"),
                *("--updates", "--batch-tokens", "--learning-rate", "--warmup", "--label-smoothing"),
                *("--validate-every", "--average", "--patience", "--accumulate", "--precision"),
                "--subword-regularization",
            ],
            "test_every_flag_is_in_the_folder",
        ),
        **dict.fromkeys(["--init-from", "--freeze", "--ema"], "test_a_run_that_begins_with_another"),
        "--tokenizer": "test_a_joint_one_for_train",
        "--symbols": "test_train_makes_a_tokenizer_with_symbols",
        "--write-config": "test_write_config_needs_nothing_else_and_changes_nothing",
        "--compile": "test_compile_is_refused_where_it_does_not_pay",
        "--check": "test_check_says_what_would_be_trained_and_writes_nothing",
        "--threads": "test_impossible_values_are_refused_before_anything_is_written",
        "--config": "test_a_file_gives_all_that_train_needs",
        "--joint-vocab": "test_a_file_gives_all_that_train_needs",
    },
    "translate": {
        "FOLDERS": "test_a_model_twice_is_the_model",
        "--input": "test_input_and_output_files",
        "--output": "test_input_and_output_files",
        **dict.fromkeys(["--beam", "--length-alpha", "--n-best", "--max-length", "--batch-tokens"], SEARCH),
        **dict.fromkeys(
            [
                *("--length-penalty", "--patience", "--free-eos", "--forbid-unk", "--no-repeat-ngram"),
                *("--min-length", "--min-length-ratio", "--max-length-ratio"),
            ],
            "test_search_options_reach_the_settings",
        ),
        **dict.fromkeys(["--exact", "--budget-steps", "--budget-seconds"], "test_exact_search"),
        "--prefix": "test_prefixes_begin_the_outputs_of_every_search",
        "--prefix-column": "test_prefixes_begin_the_outputs_of_every_search",
        "--forbid": "test_what_is_forbidden_stands_in_no_output",
        "--terminology": "test_terms_stand_in_every_output_of_the_lines_that_have_them",
        **dict.fromkeys(
            ["--samples", "--temperature", "--top-k", "--top-p", "--epsilon", "--seed"],
            "test_samples_are_drawn_as_asked_for",
        ),
        "--mbr": "test_of_a_list_the_one_that_the_others_agree_with_is_chosen",
        "--utility": "test_of_a_list_the_one_that_the_others_agree_with_is_chosen",
        "--per-length": "test_per_length_lists_hold_the_best_of_every_length",
        "--tokens": "test_tokens_are_pieces_and_their_log_p",
        **dict.fromkeys(["--trace", "--reference"], "test_a_trace_changes_no_translation"),
        "--attention": "test_attention_is_written_and_changes_no_translation",
        "--scores": "test_scores_are_log_p_over_length_to_alpha",
        "--workers": "test_any_number_of_workers_writes_and_says_the_same",
        "--resume": "test_an_interrupted_run_goes_on",
        **dict.fromkeys(["--engine", "--precision"], "test_translate_with_the_engine"),
        "--line-buffered": "test_line_buffered_answers_every_line_before_the_next_and_ctrl_c_ends_in_130",
        "--weights": "test_weights_best_or_last",
        "--device": "test_device_and_threads",
        "--threads": "test_device_and_threads",
        "--config": "test_flags_win_wherever_they_stand",
        "--quiet": "test_results_and_everything_else_part_ways",
    },
    "evaluate": {
        **dict.fromkeys(["--engine", "--precision"], "test_evaluate_with_the_engine"),
        "FOLDERS": "test_evaluate_and_blame_take_several_folders",
        "--reference": "test_the_figures_are_sacrebleus",
        "--hypotheses": "test_the_figures_are_sacrebleus",
        "--lowercase": "test_the_figures_are_sacrebleus",
        "--source": "test_a_model_is_scored_by_what_translate_gives",
        "--output": "test_a_model_is_scored_by_what_translate_gives",
        "--beam": "test_a_model_is_scored_by_what_translate_gives",
        **dict.fromkeys(["--tokenize", "--resamples", "--seed"], "test_tokenize_resamples_and_seed"),
        "--metric": "test_evaluate_shows_what_is_asked_for_besides_bleu_and_chrf",
        **dict.fromkeys(
            ["--scores-file", "--scores-of", "--scores-direction"], "test_evaluate_has_the_mean_of_the_scores"
        ),
        "--json": "test_the_screen_shows_value_interval_and_signature",
        "--quiet": "test_the_screen_shows_value_interval_and_signature",
        **dict.fromkeys(
            [
                *("--length-alpha", "--max-length", "--batch-tokens", "--weights", "--device", "--threads", "--config"),
                *("--length-penalty", "--patience", "--free-eos", "--forbid-unk", "--no-repeat-ngram"),
                *("--min-length", "--min-length-ratio", "--max-length-ratio"),
            ],
            "test_search_options_weights_device_and_threads",
        ),
    },
    "blame-analysis": {
        **dict.fromkeys(["--engine", "--precision"], "test_blame_analysis_with_the_engine"),
        "FOLDERS": "test_evaluate_and_blame_take_several_folders",
        **dict.fromkeys(
            ["--min-length", "--min-length-ratio", "--no-repeat-ngram"],
            "test_what_bans_outputs_but_not_references_is_refused",
        ),
        "--source": "test_texts_of_different_lengths",
        "--reference": "test_several_references",
        **dict.fromkeys(
            [
                *("--length-alpha", "--max-length", "--tolerance", "--errors-below", "--reference-segmentations"),
                *("--config", "--device", "--threads", "--weights"),
                *("--length-penalty", "--max-length-ratio", "--patience", "--free-eos", "--forbid-unk"),
            ],
            "test_the_search_options_are_in_the_provenance",
        ),
        "--beam": "test_impossible_values_are_refused",
        "--batch-tokens": "test_the_batch_size_reaches_the_search_and_changes_no_verdict",
        "--errors": "test_sentences_that_a_person_judged",
        "--prefix": "test_prefixes_are_forced_and_recorded",
        "--metric": "test_a_sweep_has_the_columns_and_blame_compare_the_rows",
        **dict.fromkeys(
            ["--scores-file", "--scores-of", "--scores-direction"],
            "test_scores_of_another_tool_are_the_second_row",
        ),
        **dict.fromkeys(
            ["--sweep-beams", "--sweep-alphas", "--save-best"],
            "test_a_sweep_measures_settings_and_saves_the_best",
        ),
        **dict.fromkeys(
            ["--exact", "--budget-steps", "--budget-seconds", "--sample"],
            "test_exact_search_certifies_all_or_a_sample",
        ),
        "--examples": "test_the_tables_fit_a_terminal_and_examples_can_be_left_out",
        "--quiet": "test_the_tables_fit_a_terminal_and_examples_can_be_left_out",
        "--json": "test_files_and_standard_output",
        "--tsv": "test_files_and_standard_output",
        "--records": "test_records_are_kept_and_taken_up_again",
        "--train-sample": "test_the_training_text_is_compared",
        "--train-text": "test_the_training_text_is_compared",
        "--html": "test_a_page_and_a_plot_are_written",
        "--details": "test_a_page_and_a_plot_are_written",
        "--plot": "test_a_page_and_a_plot_are_written",
    },
    "blame-compare": {
        **dict.fromkeys(["BEFORE", "AFTER"], "test_the_tables_fit_a_terminal_and_the_arguments_have_an_order"),
        **dict.fromkeys(["--examples", "--config", "--quiet"], "test_as_many_examples_as_asked_for"),
        "--json": "test_json_goes_to_a_file_or_takes_the_place_of_the_tables",
        "--metric": "test_a_sweep_has_the_columns_and_blame_compare_the_rows",
    },
    "attention": {
        "FOLDERS": "test_lines_are_chosen_in_the_order_asked_for",
        "--source": "test_all_search_options_reach_the_search",
        "--target": "test_a_given_translation_and_its_words",
        "--line": "test_lines_are_chosen_in_the_order_asked_for",
        **dict.fromkeys(["--kind", "--layer", "--head"], "test_kind_layer_and_head_choose_the_map"),
        "--each": "test_each_layer_and_head_apart",
        "--words": "test_a_given_translation_and_its_words",
        **dict.fromkeys(["--html", "--plot", "--json"], "test_a_page_and_a_picture"),
        **dict.fromkeys(["--alignment", "--gold"], "test_alignments_and_their_error_rate"),
        **dict.fromkeys(
            [
                *("--beam", "--length-alpha", "--max-length", "--batch-tokens", "--weights", "--device", "--threads"),
                *("--length-penalty", "--patience", "--free-eos", "--forbid-unk", "--no-repeat-ngram", "--config"),
                *("--min-length", "--min-length-ratio", "--max-length-ratio"),
            ],
            "test_all_search_options_reach_the_search",
        ),
        "--quiet": "test_the_terminal_shows_every_row_in_80_columns",
    },
    "compare": {
        "FOLDERS": "test_folders_are_compared_with_the_first",
        **dict.fromkeys(["--source", "--reference"], "test_what_does_not_go_together_is_refused"),
        **dict.fromkeys(["--grid", "--output"], "test_a_grid_is_trained_once_and_compared"),
        "--metric": "test_compare_has_the_columns",
        **dict.fromkeys(["--buckets", "--json", "--plot", "--quiet"], "test_folders_are_compared_with_the_first"),
        **dict.fromkeys(
            [
                *("--beam", "--length-alpha", "--max-length", "--batch-tokens", "--weights", "--device", "--threads"),
                *("--length-penalty", "--patience", "--free-eos", "--forbid-unk", "--no-repeat-ngram", "--config"),
                *("--min-length", "--min-length-ratio", "--max-length-ratio"),
            ],
            "test_all_search_options_reach_the_search",
        ),
    },
    "inspect": {
        "TRACE_FILE": "test_the_first_sentence_is_shown_as_it_was_searched",
        "--line": "test_lines_are_chosen_in_the_order_asked_for",
        "--steps": "test_as_many_steps_as_asked_for",
        "--html": "test_a_page_of_all_sentences_or_of_those_chosen",
        "--quiet": "test_quiet_leaves_only_the_results",
        "--config": "test_a_config_file_gives_the_flags",
    },
    "score": {
        "FOLDERS": "test_every_probability_is_the_mean_of_the_members",
        **dict.fromkeys(["--source", "--target", "--length-alpha", "--length-penalty"], "test_log_p_length_and_j"),
        "--pieces": "test_pieces_that_a_search_chose_get_its_scores",
        "--candidates": "test_n_best_lists_get_the_scores_that_the_search_gave_them",
        "--tokens": "test_several_targets_and_tokens",
        "--form": "test_a_line_that_fails_has_empty_scores",
        **dict.fromkeys(
            ["--output", "--weights", "--device", "--threads", "--batch-tokens", "--config", "--quiet"],
            "test_files_weights_device_threads_and_batches",
        ),
    },
    "history": {
        "FOLDERS": "test_several_trainings_go_into_one_picture_and_one_file",
        "--axis": "test_the_screen_shows_every_quantity_of_a_training",
        **dict.fromkeys(["--plot", "--json"], "test_several_trainings_go_into_one_picture_and_one_file"),
        **dict.fromkeys(["--config", "--quiet"], "test_quiet_and_a_config_file_for_histories"),
    },
    "info": {
        "FOLDER": "test_the_facts",
        "--json": "test_json_into_a_file_leaves_the_screen",
        "--weights": "test_weights_best_or_last",
        "--config": "test_quiet_and_a_config_file",
        "--quiet": "test_quiet_and_a_config_file",
    },
    "export": {
        "FOLDER": "test_an_export_is_written_and_verified",
        **dict.fromkeys(
            ["--output", "--format", "--precision", "--verify", "--reference"], "test_an_export_is_written_and_verified"
        ),
        **dict.fromkeys(["--weights", "--config", "--quiet"], "test_the_last_weights_without_notes"),
        **dict.fromkeys(["--device", "--threads"], "test_an_export_is_written_and_verified"),
    },
    "guide": {
        "PAGE": "test_every_page_is_listed_and_shown",
        "--config": "test_quiet_lists_without_a_note",
        "--quiet": "test_quiet_lists_without_a_note",
    },
}
EVERYWHERE = {"--debug": "test_debug_shows_the_traceback_and_the_same_line", "--help": "test_help_loads_nothing_heavy"}


def flags(command: str) -> set[str]:
    """All parameters of a command: long flags, both of a pair, and arguments in capitals."""
    group = typer.main.get_command(app)
    found: set[str] = set()
    for parameter in group.commands[command].params:  # type: ignore[attr-defined]
        names = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--")]
        found |= set(names or [str(parameter.name).upper()])
    return found - {"--help"}


def sources_of_tests() -> dict[str, str]:
    """The source of every test function of the command line, by name; several of one name together."""
    found: dict[str, str] = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and path != Path(__file__):
                first = min((one.lineno for one in node.decorator_list), default=node.lineno)
                lines = text.split("\n")[first - 1 : node.end_lineno]
                found[node.name] = found.get(node.name, "") + "\n".join(lines)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_has_a_test(command: str) -> None:
    table = {**WHERE[command], **EVERYWHERE}
    assert set(table) - {"--help"} == flags(command)
    sources = sources_of_tests()
    for flag, test in table.items():
        assert test in sources, f"{flag}: there is no {test}"
        in_fixture = (command, flag) == ("blame-analysis", "--source")  # every test there gets it
        assert not flag.startswith("--") or in_fixture or flag in sources[test], f"{test} never uses {flag}"
