//! What the report says, before it is Markdown or HTML.

use super::charts::ALL_SETS;
use super::words::{NONE, count, difference, estimate, interval, probability, thousands, value};
use super::{ArmFigures, GroupFigures, MetricFigures, Report};
use crate::{FLIPS, MetricKind, PUBLISHED_SOURCE, RESAMPLES, published_claim};

/// A table whose first columns are names and whose others are numbers.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// How many columns are names.
    pub(super) names: usize,
}

/// The tables of a metric.
pub(super) struct Section<'a> {
    pub(super) figures: &'a MetricFigures,
    pub(super) tables: Vec<Table>,
    /// What the reader must know of the numbers.
    pub(super) notes: Vec<String>,
}

/// What was planned and what there is.
pub(super) fn summary(report: &Report) -> String {
    let plan = report.plan();
    let sets =
        report.figures().first().map_or(1, |figures| figures.groups.iter().filter(|group| group.set.is_some()).count());
    let summary = format!(
        "Model: {}. {} in {}, {} each; {}, {} planned for each.",
        plan.model,
        count(plan.prompts.len(), "prompt"),
        count(sets, "set"),
        count(plan.seeds.len(), "seed"),
        count(plan.arms.len(), "arm"),
        count(report.planned(), "picture")
    );
    match report.unplanned() {
        0 => summary,
        scores => {
            format!("{summary} {} of pictures that the plan does not have were left out.", count(scores, "score"))
        }
    }
}

/// How the numbers came about.
pub(super) fn method(report: &Report) -> String {
    let first = report.plan().arms.first().map_or("", |arm| &arm.name);
    format!(
        "Means are over all pictures alike. Intervals are 95 % confidence intervals: the percentile bootstrap over prompts, each \
         with all its seeds, {} resamples. One without width says that the prompts agree, not that others would; one \
         prompt has none. Differences are to {first}, over pictures of the same prompt and seed; p is that of a paired sign-flip \
         test over prompts, by every flip or {} random ones. McNemar's exact p takes every pair of pictures on its own, \
         which several seeds of one prompt are not: it is then too small. No p is corrected for the number of comparisons.",
        thousands(RESAMPLES),
        thousands(FLIPS)
    )
}

/// How many pictures every arm has.
pub(super) fn pictures(report: &Report) -> Table {
    let row = |name: &String| vec![name.clone(), report.scored(name).to_string(), report.planned().to_string()];
    Table {
        caption: "Pictures of every arm".to_owned(),
        head: ["arm", "scored", "planned"].map(str::to_owned).to_vec(),
        rows: report.plan().arms.iter().map(|arm| row(&arm.name)).collect(),
        names: 1,
    }
}

pub(super) fn sections(report: &Report) -> Vec<Section<'_>> {
    report.figures().iter().map(|figures| section(report, figures)).collect()
}

fn section<'a>(report: &'a Report, figures: &'a MetricFigures) -> Section<'a> {
    let mut tables = vec![means(figures)];
    if report.plan().arms.len() > 1 {
        tables.push(differences(figures, &report.plan().arms[0].name));
    }
    let about = report.scorers.iter().find(|scorer| scorer.name == figures.scorer).map(|scorer| &scorer.about);
    let about = about.filter(|about| !about.is_empty()).map(|about| format!("Scored by {}. {about}", figures.scorer));
    let arms = report.plan().arms.iter().map(|arm| arm.name.as_str());
    let claim = published_claim(&figures.metric.key, arms).map(str::to_owned);
    let marks = figures.groups.iter().flat_map(|group| &group.arms).any(|arm| arm.published.is_some());
    let source = marks.then(|| {
        format!(
            "“Published” numbers are those {PUBLISHED_SOURCE}; another model or other prompts need not come near them."
        )
    });
    Section { figures, tables, notes: about.into_iter().chain(source).chain(claim).collect() }
}

fn name(group: &GroupFigures) -> String {
    group.set.clone().unwrap_or_else(|| ALL_SETS.to_owned())
}

/// A row with a cell for every group.
fn row(figures: &MetricFigures, name: String, cell: impl Fn(&GroupFigures) -> Option<String>) -> Vec<String> {
    let cells = figures.groups.iter().map(|group| cell(group).unwrap_or_else(|| NONE.to_owned()));
    std::iter::once(name).chain(cells).collect()
}

/// The arms in rows and the sets in columns; below them what was published, and how many pictures there are.
fn means(figures: &MetricFigures) -> Table {
    let kind = figures.metric.kind;
    let arms: &[ArmFigures] = figures.groups.first().map_or(&[], |group| &group.arms);
    let mean = |place: usize| move |group: &GroupFigures| Some(estimate(kind, group.arms[place].estimate.as_ref()?));
    let published = |place: usize| move |group: &GroupFigures| Some(value(kind, group.arms[place].published?));
    let pictures = |place: usize| {
        move |group: &GroupFigures| {
            let estimate = group.arms[place].estimate?;
            Some(format!("{} ({})", estimate.pictures, count(estimate.prompts, "prompt")))
        }
    };
    let mut rows: Vec<_> =
        arms.iter().enumerate().map(|(place, arm)| row(figures, arm.arm.clone(), mean(place))).collect();
    for (place, arm) in arms.iter().enumerate() {
        if figures.groups.iter().any(|group| group.arms[place].published.is_some()) {
            rows.push(row(figures, format!("{}, published (SD 1.4)", arm.arm), published(place)));
        }
    }
    let counts: Vec<_> = (0..arms.len()).map(|place| row(figures, String::new(), pictures(place))).collect();
    if counts.windows(2).all(|pair| pair[0] == pair[1]) {
        let name = if arms.len() > 1 { "pictures of each arm" } else { "pictures" };
        rows.extend(counts.first().map(|_| row(figures, name.to_owned(), pictures(0))));
    } else {
        let counted =
            |(place, arm): (usize, &ArmFigures)| row(figures, format!("pictures of {}", arm.arm), pictures(place));
        rows.extend(arms.iter().enumerate().map(counted));
    }
    Table {
        caption: "Means with 95 % intervals".to_owned(),
        head: std::iter::once("arm".to_owned()).chain(figures.groups.iter().map(name)).collect(),
        rows,
        names: 1,
    }
}

/// Every arm but the first against the first, set by set.
fn differences(figures: &MetricFigures, first: &str) -> Table {
    let kind = figures.metric.kind;
    let is_share = kind == MetricKind::Share;
    let (unit, changes): (_, &[_]) =
        if is_share { (" in percentage points", &["gained", "lost", "McNemar p"]) } else { ("", &[]) };
    let head = ["arm", "set", "difference", "95 % interval", "p"].iter().chain(changes).chain(&["pairs", "left out"]);
    let head: Vec<_> = head.map(|name| (*name).to_owned()).collect();
    let arms = figures.groups.first().map_or(0, |group| group.arms.len());
    let rows = (1..arms).flat_map(|place| figures.groups.iter().map(move |group| (&group.arms[place], group)));
    let rows = rows.map(|(arm, group)| {
        let mut row = vec![arm.arm.clone(), name(group)];
        if let Some(comparison) = &arm.comparison {
            row.extend([
                difference(kind, comparison.difference),
                interval(kind, comparison),
                probability(comparison.p),
            ]);
            if let Some(changes) = comparison.changes {
                row.extend([changes.gained.to_string(), changes.lost.to_string(), probability(changes.p)]);
            }
        }
        row.resize(head.len() - 2, NONE.to_owned());
        row.push(arm.comparison.map_or(0, |comparison| comparison.pairs).to_string());
        row.push(arm.left_out.to_string());
        row
    });
    Table { caption: format!("Differences to {first}{unit}"), rows: rows.collect(), head, names: 2 }
}
