"""`SceneClassifier` with scikit-learn's tools: estimator checks, cross-validation, search, and the page's example."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils import Tags
from sklearn.utils.estimator_checks import check_estimator

from scenelet import SceneClassifier

Clips = tuple[list[str], list[str], list[str]]
PAGE = Path(__file__).parents[2] / "docs" / "estimator.md"
NUMERIC_CHECKS = {
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_supervised_y_2d",
}
"""Checks that fit a matrix of numbers, or look for messages about its features. X is a list of paths."""


class TaggedAsNumeric(SceneClassifier):
    """Classifier whose tags ask for numbers, so that scikit-learn runs all checks and not only one."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def test_check_estimator_results_match_the_page() -> None:
    reasons = dict.fromkeys(NUMERIC_CHECKS, "X is a list of paths")
    results = check_estimator(TaggedAsNumeric(), expected_failed_checks=reasons, on_skip=None)
    by_status: dict[str, set[str]] = {}
    for result in results:
        by_status.setdefault(result["status"], set()).add(result["check_name"])
    assert by_status.pop("skipped", set()) <= {"check_array_api_input"}
    assert by_status["xfail"] == NUMERIC_CHECKS  # each of them is run and fails
    passing, _, failing = PAGE.read_text().partition("## Checks that do not apply")
    assert set(re.findall(r"`(check_\w+)`", passing)) == by_status["passed"]
    assert set(re.findall(r"`(check_\w+)`", failing)) == by_status["xfail"]
    assert set(by_status) == {"passed", "xfail"}


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_check_estimator_with_its_own_tags_passes() -> None:
    assert [result["status"] for result in check_estimator(SceneClassifier())] == ["passed"]


def test_tags_describe_a_list_of_texts() -> None:
    tags = SceneClassifier().__sklearn_tags__()
    assert (tags.estimator_type, tags.target_tags.required, tags.non_deterministic) == ("classifier", True, False)
    assert (tags.input_tags.one_d_array, tags.input_tags.string, tags.input_tags.two_d_array) == (True, True, False)


def test_cross_val_score_works_with_groups(clips: Clips, tiny: dict[str, Any]) -> None:
    paths, labels, groups = clips
    short = tiny | {"schedule.epochs": 1, "prune.epochs": 0}
    scores = cross_val_score(
        clone(SceneClassifier(settings=short)),
        np.array(paths),
        labels,
        groups=groups,
        cv=GroupKFold(2),
        error_score="raise",
    )
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_grid_search_over_settings_works(clips: Clips, tiny: dict[str, Any]) -> None:
    paths, labels, groups = clips
    short = tiny | {"schedule.epochs": 1, "prune.epochs": 0}
    search = GridSearchCV(
        SceneClassifier(settings=short),
        {"settings": [short, short | {"network.width": 12}], "sparsity": np.array([0.5])},
        cv=GroupKFold(2),
        scoring="neg_log_loss",
        error_score="raise",
    )
    search.fit(paths, labels, groups=groups)
    widths = {settings["network.width"] for settings in search.cv_results_["param_settings"]}
    assert widths == {8, 12}
    best = search.best_estimator_.classifier_.model.provenance
    assert best["network"]["width"] == search.best_params_["settings"]["network.width"]
    assert best["train_clips"] == {"high": 12, "low": 12}


def test_example_of_the_page_runs(
    clips: Clips, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, label, group in zip(*clips, strict=True):
        folder = tmp_path / "recordings" / label / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Path(path).name).write_bytes(Path(path).read_bytes())
    (tmp_path / "tiny.toml").write_text("".join(f"{key} = {value!r}\n" for key, value in tiny.items()))
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert '"default"' in code
    code = code.replace('"default"', '"tiny.toml"').replace('"schedule.epochs": 50', '"schedule.epochs": 1')
    exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
    assert (tmp_path / "rooms.scn").stat().st_size > 0
    assert (tmp_path / "rooms.md").read_text().startswith("# rooms")
