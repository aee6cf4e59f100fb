"""Figures: edges and titles that the notebook does not show."""

import base64
import io
import itertools
import json
import textwrap

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from persona_kit.plots import (
    TIER_COLORS,
    _palette_png,
    _wrapped,
    attribution_plot,
    cross_plot,
    diagnostics_plot,
    drift_plot,
    forecast_plot,
    homogenisation_plot,
    light_figures,
    order_plot,
    sentiment_plot,
    specification_plot,
    state_map,
    state_maps,
    summary_plot,
    word_cloud,
    words_plot,
)
from persona_kit.population import diagnostics, us_adults
from persona_kit.tables import STATES, TableError, data_path

pytestmark = pytest.mark.filterwarnings("error")
TEN = ["CA", "DC", "FL", "GA", "NY", "OH", "PA", "TX", "VT", "WY"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def a_forecast(tiers=("meta", "descriptive"), years=(2020, 2024), states=tuple(STATES)):
    keys = pd.DataFrame(itertools.product(tiers, years, states), columns=["tier", "year", "state"])
    real = 0.3 + 0.4 * np.arange(len(keys)) / len(keys)
    share = np.clip(real + 0.1 * np.where(keys["tier"] == "meta", 1, 2), 0, 1)
    return keys.assign(real=real, share=share, previous=real - 0.01, low=share - 0.1, high=share + 0.1, error=100 * (share - real),
                       simulator="a model", mode="choice")


def a_drift(differences, half=1.0, years=(2020, 2024), pairs=400):
    rows = [(t, y, d) for y in years for t, d in zip(list(TIER_COLORS)[1:], differences, strict=False)]
    frame = pd.DataFrame(rows, columns=["tier", "year", "difference"])
    return frame.assign(low=frame["difference"] - half, high=frame["difference"] + half, n_pairs=pairs)


def a_summary(mae=(5.0, 12.0), half=1.0):
    rows = pd.DataFrame({"tier": ["meta", "descriptive"], "year": 2020, "kind": "personas", "mae": mae, "mae_noise": 3.0})
    base = pd.DataFrame({"tier": ["50/50", "previous election"], "year": 2020, "kind": "baseline", "mae": [9.0, 2.0]})
    return pd.concat([rows.assign(mae_low=rows["mae"] - half, mae_high=rows["mae"] + half), base], ignore_index=True)


def drawn(ax):
    return {patch.get_gid(): patch for patch in ax.patches if patch.get_gid() in STATES}


def head(x):
    text = x.get_title(loc="left") if isinstance(x, Axes) else x.get_suptitle()
    return text.replace("\n", " ").replace("\u00a0", " ")


def test_geography_holds_every_state_once():
    tiles = pd.read_csv(data_path("geo/us_tiles.csv"))
    shapes = json.loads(data_path("geo/us_states.json").read_text(encoding="utf-8"))
    assert sorted(tiles["state"]) == sorted(shapes) == sorted(STATES)
    assert not tiles.duplicated(["row", "col"]).any()
    assert data_path("geo/us_states.json").stat().st_size <= 120_000
    assert "callout" in shapes["DC"]


@pytest.mark.parametrize("kind", ["tiles", "shapes"])
def test_a_map_draws_all_states_and_hatches_missing_ones(kind):
    frame = a_forecast(["meta"], [2020], TEN)
    frame.loc[0, "share"] = np.nan                                  # California
    ax = state_map(frame, kind=kind)
    ax.figure.canvas.draw()
    patches = drawn(ax)
    assert len(patches) == 51
    assert {s for s, p in patches.items() if not p.get_hatch()} == set(TEN) - {"CA"}
    assert {"DC", "WY"} <= {t.get_text() for t in ax.texts}


def test_an_outline_covers_its_label():
    shapes = json.loads(data_path("geo/us_states.json").read_text(encoding="utf-8"))
    for state, shape in shapes.items():
        assert mpl.path.Path(np.reshape(shape["rings"][0], (-1, 2))).contains_point(shape["label"], radius=2) or state == "DC"


def test_map_colours_follow_the_parties_and_titles_the_data():
    frame = pd.DataFrame({"state": ["CA", "WY", "PA"], "year": 2020, "real": [0.65, 0.28, 0.5]})
    ax = state_map(frame, "real")
    fill = {s: p.get_facecolor() for s, p in drawn(ax).items()}
    assert fill["CA"][2] > fill["CA"][0] and fill["WY"][0] > fill["WY"][2]
    assert head(ax) == "2020: Democratic majority in 1 of 3 states, a tie in 1"
    assert head(state_map(frame, "real", title="as $I$ wish")) == "as $I$ wish"


def test_map_of_errors_and_of_plain_numbers():
    frame = pd.DataFrame({"state": ["CA", "WY"], "tier": "meta", "error": [4.0, -2.0], "n": [20, 30], "share": [0.6, 0.2]})
    frame["real"] = [0.4, 0.3]
    assert head(state_map(frame, "error", center=0)) == "Meta: too Democratic in 1 of 2 states, +1.0 points on average"
    assert "from 20 in CA to 30 in WY" in head(state_map(frame, "n", center=None))
    assert head(state_map(frame)).endswith("Democratic majority in 1 of 2 states; really in 0")


def test_map_without_any_value():
    ax = state_map(pd.DataFrame({"state": ["CA"], "share": [pd.NA]}))
    assert head(ax) == "no state has a value" and all(p.get_hatch() for p in drawn(ax).values())


def test_map_takes_an_axes_and_nullable_numbers():
    figure, ax = plt.subplots()
    frame = pd.DataFrame({"state": ["CA", "TX"], "share": pd.array([0.6, None], dtype="Float64")})
    assert state_map(frame, ax=ax, colorbar=False) is ax and len(figure.axes) == 1


@pytest.mark.parametrize(("frame", "kwargs", "words"), [
    (pd.DataFrame({"state": ["CA"], "shares": [0.5]}), {}, "missing column 'share'; the frame has state, shares"),
    (pd.DataFrame({"state": ["ZZ"], "share": [0.5]}), {}, "unknown state 'ZZ'"),
    (pd.DataFrame({"state": ["CA", "CA"], "share": [0.5, 0.6], "year": [2016, 2020]}), {}, "select one year first"),
    (pd.DataFrame({"state": ["CA"], "share": ["high"]}), {}, "column 'share' must be numeric"),
    (pd.DataFrame({"state": ["CA"], "share": [12.0]}), {}, "give center=0"),
    (pd.DataFrame({"state": ["CA"], "share": [0.5]}), {"kind": "hexagons"}, "unknown kind 'hexagons'"),
    (pd.DataFrame({"state": [], "share": []}), {}, "no rows"),
])
def test_map_refuses_what_it_cannot_draw(frame, kwargs, words):
    with pytest.raises(ValueError, match=words):
        state_map(frame, **kwargs)


def test_grid_of_maps():
    figure = state_maps(a_forecast(states=TEN))
    assert isinstance(figure, Figure)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["real result, 2020", "real result, 2024", "meta, 2020", "meta, 2024", "descriptive, 2020", "descriptive, 2024"]
    assert head(figure).startswith("States with the right winner (a tie counts half): meta 52")
    figure = state_maps(a_forecast(years=[2020]), "error", center=0)
    assert head(figure) == "Average error: meta +10.0, descriptive +20.0 points" and sum(bool(drawn(ax)) for ax in figure.axes) == 2


def test_grid_refuses_two_forecasts_for_a_state():
    frame = a_forecast(["meta"], [2020])
    with pytest.raises(ValueError, match="more than one row"):
        state_maps(pd.concat([frame, frame]))


def test_forecast_title_is_computed():
    one = head(forecast_plot(a_forecast(["descriptive"], [2020])))
    assert one.startswith("Descriptive, 2020: 20.0 points off on average (50/50 guess 10.")
    many = head(forecast_plot(a_forecast()))
    assert many.startswith("Off by 10.0 points (meta) to 20.0 (descriptive) on average; 50/50 guess")
    assert many.endswith("previous election 1.0")


@pytest.mark.parametrize(("tiers", "years", "panels"), [(tuple(TIER_COLORS), (2016, 2020, 2024), 12), (("meta", "other"), (2020,), 2),
                                                        (("a", "b", "c", "d", "e"), (2020,), 5)])
def test_forecast_panels(tiers, years, panels):
    figure = forecast_plot(a_forecast(tiers, years, TEN))
    assert len(figure.axes) == panels
    assert all({t.get_text() for t in ax.texts} <= set(TEN) and len(ax.texts) >= 3 for ax in figure.axes)


def test_forecast_names_never_overlap():
    figure = forecast_plot(a_forecast(["meta"], [2020]), names=51)
    figure.canvas.draw()
    texts = figure.axes[0].texts
    boxes = np.array([mpl.text.Text.get_window_extent(t).get_points().ravel() for t in texts])
    assert len(boxes) > 10
    for a, b in itertools.combinations(boxes, 2):
        assert min(a[2], b[2]) <= max(a[0], b[0]) + 1 or min(a[3], b[3]) <= max(a[1], b[1]) + 1


def test_forecast_without_optional_columns_and_with_missing_shares():
    frame = a_forecast(["meta"], [2020])[["state", "share", "real"]]
    assert "previous" not in head(forecast_plot(frame))
    frame = a_forecast()
    frame.loc[(frame["tier"] == "meta") & (frame["year"] == 2020), ["share", "low", "high"]] = np.nan
    figure = forecast_plot(frame)
    assert "meta, 2020: no answer" in [ax.get_title() for ax in figure.axes]
    assert "51 of 204 rows without a valid answer" in figure.legends[0].get_title().get_text()
    with pytest.raises(TableError, match="no row has both"):
        forecast_plot(frame.assign(share=np.nan))
    with pytest.raises(TableError, match="missing column 'real'"):
        forecast_plot(frame.drop(columns="real"))


def test_models_that_differ_stay_apart_and_odd_names_are_plain_text():
    frame = a_forecast(["meta"], [2020], TEN)
    long = "org/" + "x" * 60
    figure = forecast_plot(pd.concat([frame.assign(simulator=f"{long}-{end}") for end in ("a$b$", "b")]))
    assert len(figure.axes) == 2
    assert "a\\$b\\$" in " ".join(ax.get_title() for ax in figure.axes)
    figure.canvas.draw()


@pytest.mark.parametrize(("differences", "half", "words"), [
    ((1.0, 4.0, 8.0), 1.0, "The more LLM-written text, the more Democratic: up to 8.0 points"),
    ((-1.0, -4.0, -8.0), 1.0, "The more LLM-written text, the more Republican"),
    ((4.0, 1.5, 8.0), 1.0, "6 of 6 differences from meta are distinguishable from zero; the largest: 8.0 points more Democratic"),
    ((1.0, 2.0, 3.0), 1.5, "4 of 6 differences"),                    # climbs, but first and last overlap
    ((1.0, -1.0, 2.0), 3.0, "No drift from meta is distinguishable with 400 pairs; one of up to 5.0 points fits the intervals"),
    ((np.nan, np.nan, np.nan), 1.0, "No difference from meta could be estimated"),
])
def test_drift_title_claims_no_more_than_the_intervals(differences, half, words):
    ax = drift_plot(a_drift(differences, half))
    ax.figure.canvas.draw()
    assert head(ax).startswith(words)


def test_drift_of_one_row_and_unknown_column():
    ax = drift_plot(a_drift((3.0,), years=[2024]))
    assert head(ax) == "Objective tabular, 2024: 3.0 points more Democratic than meta (2.0 to 4.0)"
    with pytest.raises(TableError, match="missing column 'low'"):
        drift_plot(a_drift((3.0,)).drop(columns="low"))


def test_ladder_needs_every_year():
    turned = pd.concat([a_drift((1.0, 4.0, 8.0), years=[2020]), a_drift((8.0, 4.0, 1.0), years=[2024])])
    assert not head(drift_plot(turned)).startswith("The more")


def test_summary_title_counts_whole_intervals():
    assert head(summary_plot(a_summary())) == ("Better than the 50/50 guess: 1 of 2, worse: 1 "
                                               "Better than the previous election's result: 0 of 2, worse: 2")
    assert head(summary_plot(a_summary(half=8.0))).startswith("Better than the 50/50 guess: 0 of 2, worse: 0")


def test_summary_marks_baselines_and_noise():
    ax = summary_plot(a_summary())
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["50/50", "previous election", "sampling noise alone"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["2020", "meta", "descriptive"]


def test_summary_of_other_measures():
    frame = a_summary().drop(index=[2, 3])
    frame = frame.assign(bias=[3.0, 0.5], bias_low=[1.0, -1.0], bias_high=[5.0, 2.0], valid_rate=[0.9, 1.0],
                         electoral_votes=[300, 250], electoral_votes_low=[280, 200], electoral_votes_high=[320, 310],
                         real_electoral_votes=306)
    assert head(summary_plot(frame, "bias")) == "Too Democratic: 1 of 2; too Republican: 0; neither clearly: 1"
    assert head(summary_plot(frame, "electoral_votes")).endswith("holds the real value in 2 of 2")
    assert head(summary_plot(frame, "valid_rate")) == "Valid rate: from 0.9 to 1"
    assert head(summary_plot(frame.head(1))).startswith("Meta, 2020: mean absolute error in points 5 (4 to 6)")
    with pytest.raises(TableError, match="missing column 'accuracy'"):
        summary_plot(frame, "accuracy")
    with pytest.raises(TableError, match="baselines only"):
        summary_plot(a_summary().tail(2))


# Complete lack of the long- or the middle-wave receptor (Machado, Oliveira and Fernandes 2009), on linear RGB.
DEFICIENCIES = [np.eye(3), np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
                np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])]


def lab(colors, matrix):
    rgb = mpl.colors.to_rgba_array(colors)[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ matrix.T, 0, 1) @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("matrix", DEFICIENCIES)
def test_colours_stay_apart_for_colour_blind_readers(matrix):
    for colors in (list(TIER_COLORS.values()), mpl.colormaps["RdBu"]([0.1, 0.5, 0.9]), mpl.colormaps["PuOr"]([0.1, 0.5, 0.9])):
        seen = lab(colors, matrix)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 25


# Diagnostics


def samplers():
    adults = us_adults()
    people = {joint: us_adults(joint=joint).sample(per_state=20, seed=1) for joint in ("census", "independent")}
    return {joint: diagnostics(drawn, adults, attributes=["sex", "education", "race_ethnicity"]) for joint, drawn in people.items()}


def test_diagnostics_show_the_worst_categories_and_every_pair():
    tables = samplers()
    figure = diagnostics_plot(tables, most=5)
    left, right = figure.axes
    assert len(left.get_yticks()) == 5 and "furthest off" in left.get_title(loc="left") + left.get_title()
    shares = pd.concat(tables.values()).query("measure == 'share'").groupby(["attribute", "category"])["difference"]
    worst = shares.agg(lambda d: d.abs().max()).nlargest(5)
    assert left.get_yticklabels()[0].get_text().startswith(worst.index[0][1])
    dots = [line.get_xydata() for line in left.lines if line.get_marker() in ("o", "s")]
    assert np.abs(np.concatenate(dots)[:, 0]).max() == pytest.approx(100 * worst.iloc[0])
    pairs = [line for line in right.lines if line.get_marker() in ("o", "s")]
    assert [len(line.get_xdata()) for line in pairs] == [3, 3]
    said = figure.get_supxlabel()
    assert "effective sample size" in said and "design effect" in said and "impossible" in said and said.count("\n") == 1
    assert len(diagnostics_plot(tables["census"]).axes) == 2


def test_diagnostics_plot_refuses():
    with pytest.raises(TableError, match="no table"):
        diagnostics_plot({})
    with pytest.raises(TableError, match="difference"):
        diagnostics_plot(samplers()["census"].drop(columns="difference"))


def a_score_drift(measures=("polarity", "compound"), tiers=("objective_tabular", "descriptive"), difference=(0.0, 0.3), half=0.1):
    rows = [(t, m, d) for t, d in zip(tiers, difference, strict=True) for m in measures]
    frame = pd.DataFrame(rows, columns=["tier", "measure", "difference"])
    return frame.assign(low=frame["difference"] - half, high=frame["difference"] + half, reference="meta", generator="a model", n_pairs=50)


def marked(t=(5.0, 3.0, 1.0, -1.0, -4.0), q=(0.001, 0.01, 0.5, 0.5, 0.01)):
    n = len(t)
    frame = pd.DataFrame({"word": [f"word{i}" for i in range(n)], "t": t, "q": q, "log_odds": np.divide(t, 2), "texts_first": range(n),
                          "texts_second": range(n), "first": "women", "second": "men"})
    return frame.assign(group=np.where(frame["t"] > 0, "women", "men"), low=frame["log_odds"] - 1, high=frame["log_odds"] + 1)


def test_a_sentiment_plot_says_which_tiers_differ():
    figure = sentiment_plot(a_score_drift())
    figure.canvas.draw()
    assert head(figure) == "Polarity (TextBlob): above meta in 1 of 2 tiers Compound, whole text (VADER): above meta in 1 of 2 tiers"
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["objective tabular", "descriptive"]
    assert "a model" in figure.get_supxlabel() and "50 people" in figure.get_supxlabel()
    assert "not clearly off meta in any of 2 tiers" in head(sentiment_plot(a_score_drift(["polarity"], half=1)))
    assert "below meta in 1" in head(sentiment_plot(a_score_drift(["polarity"], difference=(0, -0.5))))
    assert sum(ax.get_visible() for ax in sentiment_plot(a_score_drift(["polarity", "compound", "subjectivity"])).axes) == 3
    missing = a_score_drift()
    missing.loc[0, ["difference", "low", "high"]] = np.nan
    sentiment_plot(missing).canvas.draw()


def test_a_words_plot_fills_what_holds():
    ax = words_plot(marked(), 2)
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["word0  0 | 0", "word1  1 | 1", "word3  3 | 3", "word4  4 | 4"]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [d.get_markerfacecolor() == d.get_color() for d in dots] == [True, True, False, True]
    assert head(ax) == "Of 5 words, 2 mark women and 1 mark men (q < 0.05)"
    assert "No word tells women from men beyond chance" in head(words_plot(marked(q=[0.5] * 5)))
    assert len(words_plot(marked(t=(5.0, 4.0, 3.0, 2.0, 1.0)), 3).get_yticks()) == 3          # nothing marks the other side
    assert r"\$x" in words_plot(marked().assign(first="$x$", group="$x$")).get_xlabel()


def test_a_word_cloud_repeats_and_leaves_function_words_out():
    texts = ["the old house and the sea", "an old man", "the sea, the sea"]
    one, two = word_cloud(texts), word_cloud(texts)
    assert head(one) == "Most frequent: sea (42.9%), old (28.6%), house (14.3%) of 7 words that are no function words"
    assert np.array_equal(one.images[0].get_array(), two.images[0].get_array())
    assert not np.array_equal(one.images[0].get_array(), word_cloud(texts, seed=1).images[0].get_array())
    assert head(word_cloud(pd.Series({"the": 9, "sea": 1, "sky": 3}), exclude=("sky",))).startswith("Most frequent: sea (100.0%)")


@pytest.mark.parametrize("call, words", [
    (lambda: sentiment_plot(a_score_drift().drop(columns="low")), "missing column 'low'"),
    (lambda: sentiment_plot(a_score_drift().head(0)), "no rows"),
    (lambda: words_plot(marked().drop(columns="q")), "missing column 'q'"), (lambda: words_plot(marked(), 0), "at least 1"),
    (lambda: words_plot(marked().assign(t="high")), "must be numeric"), (lambda: word_cloud(["the of and", "a"]), "no word is left"),
    (lambda: word_cloud(pd.Series({"sea": 0})), "no word is left"), (lambda: word_cloud([None]), "missing or empty"),
    (lambda: word_cloud(["sea", 3]), "row 1 .* holds 3")])
def test_figures_of_texts_refuse(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_word_cloud_without_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "wordcloud", None)
    with pytest.raises(ImportError, match=r'pip install "persona_kit\[text\]"'):
        word_cloud(["a sea"])


def test_spread_and_order_are_counted_in_their_titles():
    spread = pd.DataFrame({"topic": ["work", "home"] * 2, "measure": ["sd", "sd", "entropy", "entropy"], "ratio": [0.7, 1.0, 0.9, 1.3]})
    spread = spread.assign(low=spread["ratio"] - 0.05, high=spread["ratio"] + 0.05)
    ax = homogenisation_plot(spread)
    ax.figure.canvas.draw()
    assert head(ax) == ("Standard deviation: below the human one in 1 of 2, above it in 0 "
                        "Entropy: below the human one in 1 of 2, above it in 1")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["work", "home"] and ax.get_xscale() == "log"
    effects = pd.DataFrame({"simulator": ["x", "$y$"], "position": "first", "share": [0.5, 0.2], "expected": 0.2, "expected_low": 0.1,
                            "expected_high": 0.3, "difference": [0.3, 0.0], "low": [0.2, -0.1], "high": [0.4, 0.1], "n": 50, "n_fixed": 0})
    ax = order_plot(effects)
    ax.figure.canvas.draw()
    assert head(ax) == "First option: chosen too often in 1 of 2, too rarely in 0" and head(order_plot(effects, title="mine")) == "mine"
    with pytest.raises(TableError, match="missing column 'ratio'"):
        homogenisation_plot(spread.drop(columns="ratio"))
    with pytest.raises(TableError, match="must be numeric"):
        order_plot(effects.assign(share="many"))


def test_what_moves_answers_is_named_by_strength():
    effects = pd.DataFrame({"removed": ["age", "party", "$x$"], "item_id": "q", "option": "yes", "effect": [0.01, -0.3, 0.1],
                            "p_adjusted": [1.0, 1e-6, 0.03], "n_pairs": 40})
    effects = effects.assign(low=effects["effect"] - 0.05, high=effects["effect"] + 0.05)
    ax = attribution_plot(effects)
    ax.figure.canvas.draw()
    assert head(ax) == "2 of 3 move the answers: party, \\$x\\$"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["party", r"\$x\$", "age"]
    assert head(attribution_plot(effects.assign(p_adjusted=1.0), 1)) == "None of 3 moves the answers beyond chance"
    with pytest.raises(TableError, match="missing column 'removed'"):
        attribution_plot(effects.drop(columns="removed"))
    with pytest.raises(ValueError, match="at least 1"):
        attribution_plot(effects, 0)


GRID = pd.DataFrame({"cell": [1, 2, 3, 4], "format": ["list", "list", "json", "json"], "shuffle": [True, False] * 2,
                     "status": ["ok"] * 3 + ["failed"], "alignment": [0.7, 0.9, 0.6, np.nan],
                     "low": [0.65, 0.85, 0.55, np.nan], "high": [0.75, 0.95, 0.65, np.nan]})


def test_a_specification_curve_is_sorted_and_counts():
    figure = specification_plot(GRID, reference=0.8)
    top, bottom = figure.axes
    assert top.lines[0].get_ydata().tolist() == [0.6, 0.7, 0.9] and "1 without a value left out" in bottom.get_xlabel()
    assert "from 0.60 to 0.90 in 3 specifications" in top.get_title(loc="left").replace("\n", " ")
    assert "1 clearly above the dashed reference (0.80), 2 clearly below" in top.get_title(loc="left").replace("\n", " ")
    assert [t.get_text() for t in bottom.get_yticklabels()] == ["format: list", "format: json", "shuffle: True", "shuffle: False"]
    marks = {line.get_ydata()[0]: line.get_xdata().tolist() for line in bottom.lines if line.get_markersize() > 4 and len(line.get_xdata())}
    assert marks == {0: [1, 2], 1: [0], 2: [0, 1], 3: [2]}
    assert "no specification" in specification_plot(GRID.tail(1)).axes[0].get_title(loc="left")
    specification_plot(GRID.drop(columns=["low", "high", "cell"]), factors=["format"])
    same = GRID.assign(n_boot=100)[["cell", "n_boot", *[c for c in GRID if c != "cell"]]]
    assert "n_boot" not in " ".join(t.get_text() for t in specification_plot(same).axes[1].get_yticklabels())
    named = specification_plot(GRID, reference=0.8, called="uniform answers").axes[0].get_title(loc="left")
    assert "dashed uniform answers (0.80)" in named.replace("\n", " ")
    for wrong, words in ((GRID.drop(columns="cell"), "name the factors"), (GRID.drop(columns="alignment"), "alignment")):
        with pytest.raises(ValueError, match=words):
            specification_plot(wrong)


def test_a_cross_shows_value_and_interval_of_each_pair():
    pairs = GRID.head(3).rename(columns={"format": "generator", "shuffle": "simulator"})
    axes = cross_plot(pairs)
    assert [t.get_text() for t in axes.texts] == ["0.70\n[0.65, 0.75]", "0.90\n[0.85, 0.95]", "0.60\n[0.55, 0.65]"]
    assert "0.60 to 0.90" in axes.get_title(loc="left") and "do not overlap" in axes.get_title(loc="left").replace("\n", " ")
    assert [t.get_text() for t in axes.get_yticklabels()] == ["list", "json"]
    assert axes.images[0].get_clim() == (0.55, 0.95)  # the ends of the intervals: noise does not look like a difference
    with pytest.raises(ValueError, match="stands twice"):
        cross_plot(pd.concat([pairs, pairs]))
    with pytest.raises(ValueError, match="simulator"):
        cross_plot(pairs.drop(columns="simulator"))


def test_a_palette_keeps_the_picture_and_takes_half_the_bytes_at_most():
    from IPython.core.pylabtools import print_figure

    figure = state_maps(a_forecast())
    full, light = print_figure(figure), base64.b64decode(_palette_png(figure, 256))
    before, after = (Image.open(io.BytesIO(data)) for data in (full, light))
    off = np.abs(np.asarray(before.convert("RGB"), float) - np.asarray(after.convert("RGB"), float))
    assert after.mode == "P" and before.size == after.size and len(light) < len(full) / 2
    assert off.mean() < 2 and np.quantile(off, 0.99) < 20        # of 255
    assert base64.b64decode(_palette_png(figure, 256)) == light


def test_a_transparent_or_an_empty_figure_is_left_as_it_is():
    figure, ax = plt.subplots(figsize=(2, 1))
    figure.patch.set_alpha(0.0)
    ax.patch.set_alpha(0.0)
    assert Image.open(io.BytesIO(base64.b64decode(_palette_png(figure, 16)))).mode == "RGBA"
    assert _palette_png(plt.figure(), 16) is None


@pytest.mark.parametrize("wrong", [{"colors": 1}, {"colors": 257}, {"dpi": 0}, {"dpi": float("nan")}])
def test_a_palette_or_resolution_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="dpi must be at least 10 and colors from 2 to 256"):
        light_figures(**wrong)


def test_outside_a_notebook_only_the_resolution_changes():
    with mpl.rc_context():
        light_figures(dpi=50)
        assert plt.figure(figsize=(2, 1)).dpi == 50


@pytest.mark.parametrize("text", ["one two three four five six seven", "a", "", "one line\nand a longer one after it", "x" * 40 + " y"])
def test_titles_break_into_as_few_lines_as_before_and_even_ones(text):
    lines, plain = _wrapped(text, 20).split("\n"), [part for line in text.splitlines() for part in textwrap.wrap(line, 20)]
    assert len(lines) == max(1, len(plain)) and " ".join(lines).split() == text.split() or "x" * 20 in text
    assert max(map(len, lines)) <= 20
    assert _wrapped("Off by 17.8 points to 19.6 on average; previous election 2.5", 57).split("\n")[1] not in ("2.5", "election 2.5")
