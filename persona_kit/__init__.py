"""Persona simulation with language models, measured against the real world.

Each module is a notebook under `nbs/`; names are loaded when first used, so importing the package is quick.
"""

__version__ = "0.1.0"

from importlib import import_module

_WHERE = {
    "tables": ("STATES", "TableError", "check", "data_path", "read", "write"),
    "population": ("Population", "diagnostics", "electorate", "rake", "us_adults"),
    "surveys": ("Item", "Survey", "party", "presidential_election", "topic_survey"),
    "survey_files": ("read_survey", "write_survey"),
    "benchmarks": ("load_benchmark", "read_benchmark", "read_responses", "write_responses"),
    "chat": ("ChatModel", "ReplyStore", "Request"),
    "personas": ("TIERS", "render"),
    "generation": ("generate", "agenerate"),
    "simulation": ("ask", "aask"),
    "alignment": ("distribution", "jensen_shannon", "kendall_tau", "kullback_leibler", "total_variation", "wasserstein"),
    "measures": ("adjusted_shares", "alignment_difference", "conditioning_gain", "correlation_distance", "cronbach_alpha",
                 "group_variance", "human_baselines",
                 "matched", "order_effects", "reply_rates", "retest", "spread"),
    "elections": ("baselines", "drift", "electoral_votes", "evaluate", "forecast", "position_bias", "results"),
    "calibration": ("assign_quotas", "balanced_shares", "compare_weightings", "entropy_balance", "poststratify", "quotas", "resample",
                    "weighting_report"),
    "rectification": ("human_worth", "humans_needed", "rectify"),
    "correction": ("acquiescence", "conformal_radius", "fit_correction", "fit_ensemble", "hold_out", "leave_out", "verdict"),
    "multilevel": ("mrp",),
    "election_correction": ("calibration_table", "correct_elections", "human_sample_table", "tilt"),
    "text": ("diversity", "lexicon_share", "marked_words", "near_duplicates", "score_drift", "sentiment"),
    "plots": ("cross_plot", "drift_plot", "forecast_plot", "homogenisation_plot", "order_plot", "sentiment_plot", "specification_plot",
              "state_map", "state_maps",
              "summary_plot", "word_cloud", "words_plot"),
    "reporting": ("disclosure", "methods_paragraph"),
    "grids": ("grid",),
    "runs": ("RunError", "check_parameters", "experiments", "parameters", "record", "run"),
}
_HOME = {name: module for module, names in _WHERE.items() for name in names}
__all__ = [*_HOME, "__version__"]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
