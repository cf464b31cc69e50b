//! What the report says, before it is Markdown or HTML.

use super::charts::set_title;
use super::words::{NONE, arm_title, count, difference, estimate, interval, probability, thousands, value};
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
        count(plan.arms.len(), "method"),
        count(report.planned(), "picture")
    );
    match report.unplanned() {
        0 => summary,
        scores => {
            format!("{summary} {} of pictures that the plan does not have were left out.", count(scores, "score"))
        }
    }
}

/// Fewer prompts than this are too few for intervals and tests to say much.
const FEW: usize = 20;

/// The result in a sentence: by the first metric that is a share, or else the first, the mean of every method over all prompts.
pub(super) fn headline(report: &Report) -> Option<String> {
    let all = report.figures();
    let figures = all.iter().find(|figures| figures.metric.kind == MetricKind::Share).or_else(|| all.first())?;
    let arms = &figures.groups.last()?.arms;
    let means = arms.iter().filter_map(|arm| {
        let estimate = arm.estimate?;
        Some((format!("{} {}", arm_title(&arm.arm), value(figures.metric.kind, estimate.mean)), estimate))
    });
    let means: Vec<_> = means.collect();
    let number = |estimate: &crate::Estimate| {
        format!("n = {} of {}", count(estimate.pictures, "picture"), count(estimate.prompts, "prompt"))
    };
    let (_, first) = means.first()?;
    let is_same = means.iter().all(|(_, other)| number(other) == number(first));
    let each = means.iter().map(
        |(mean, estimate)| {
            if is_same { mean.clone() } else { format!("{mean} ({})", number(estimate)) }
        },
    );
    let each = each.collect::<Vec<_>>().join(", ");
    let end = match (is_same, means.len()) {
        (false, _) => String::new(),
        (true, 1) => format!("; {}", number(first)),
        (true, _) => format!("; {} each", number(first)),
    };
    Some(format!("{}: {each}{end}.", figures.metric.title))
}

/// A warning where there are too few prompts to tell methods apart.
pub(super) fn warning(report: &Report) -> Option<String> {
    let prompts = report.plan().prompts.len();
    let is_compared = report.plan().arms.len() > 1;
    (is_compared && prompts < FEW).then(|| {
        format!("Fewer than {FEW} prompts: too few to compare methods. Intervals are wide, and another {} may turn the order round.",
            count(prompts, "prompt"))
    })
}

/// What the columns of the comparisons mean.
pub(super) const TERMS: [(&str, &str); 5] = [
    (
        "difference, 95 % interval",
        "The mean of this method less that of the first, over pictures of the same prompt and seed. If the \
        interval contains 0, the two may be equally good.",
    ),
    (
        "p",
        "How often chance alone would give a difference as large as this if both methods were equally good (sign flips over \
        prompts). Below 0.05 is called significant; here no p is corrected for the number of comparisons.",
    ),
    (
        "gained, lost",
        "Pairs of pictures in which only this method has what the metric asks for, and only the first one has it.",
    ),
    (
        "McNemar p",
        "As p, from the numbers of gained and lost pairs alone. It takes every pair on its own, so with several seeds of \
        a prompt it is too small.",
    ),
    ("pairs, left out", "Pictures that both methods have a score of, and those that only one has."),
];

/// How the numbers are computed.
pub(super) fn method(report: &Report) -> String {
    let first = report.plan().arms.first().map_or("", |arm| arm_title(&arm.name));
    format!(
        "Means are over all pictures alike. Intervals are 95 % confidence intervals: the percentile bootstrap over prompts, each \
         with all its seeds, {} resamples. Where it has no width, for there is one prompt or all agree, that of a share is Wilson's \
         (1927), with the number of prompts, and others have none. Differences are from {first}, over pictures of the same prompt and seed; p is that of a paired sign-flip \
         test over prompts, by every flip or {} random ones. McNemar's exact p takes every pair of pictures on its own, \
         which several seeds of one prompt are not: it is then too small. No p is corrected for the number of comparisons.",
        thousands(RESAMPLES),
        thousands(FLIPS)
    )
}

/// How many pictures every arm has.
pub(super) fn pictures(report: &Report) -> Table {
    let row =
        |name: &String| vec![arm_title(name).to_owned(), report.scored(name).to_string(), report.planned().to_string()];
    Table {
        caption: "Pictures of every method".to_owned(),
        head: ["method", "scored", "planned"].map(str::to_owned).to_vec(),
        rows: report.plan().arms.iter().map(|arm| row(&arm.name)).collect(),
        names: 1,
    }
}

/// What the numbers of the costs are.
pub(super) const COSTS: &str = "Means of a picture. Seconds are those of the machine that drew it, of pictures drawn together their share. A \
    pass of guidance ends at the last layer that it reads, and most have their gradient; updates of refinements are among them.";

/// What a picture of every method costs; none where nobody wrote it down.
pub(super) fn costs(report: &Report) -> Option<Table> {
    let head = [
        "method",
        "pictures",
        "seconds",
        "steps",
        "passes of guidance",
        "updates of refinements",
        "passes for the noise",
    ];
    let row = |cost: &crate::cost::MeanCost| {
        let numbers = [cost.seconds, cost.steps, cost.guidance_passes, cost.refinement_updates, cost.noise_passes];
        let numbers = numbers.map(|number| format!("{number:.1}"));
        [arm_title(&cost.arm).to_owned(), cost.pictures.to_string()].into_iter().chain(numbers).collect()
    };
    (!report.costs.is_empty()).then(|| Table {
        caption: "Cost of a picture".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: report.costs.iter().map(row).collect(),
        names: 1,
    })
}

pub(super) fn sections(report: &Report) -> Vec<Section<'_>> {
    report.figures().iter().map(|figures| section(report, figures)).collect()
}

fn section<'a>(report: &'a Report, figures: &'a MetricFigures) -> Section<'a> {
    let mut tables = vec![means(figures)];
    if report.plan().arms.len() > 1 {
        tables.push(differences(figures, arm_title(&report.plan().arms[0].name)));
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
    set_title(group.set.as_deref()).to_owned()
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
        arms.iter().enumerate().map(|(place, arm)| row(figures, arm_title(&arm.arm).to_owned(), mean(place))).collect();
    for (place, arm) in arms.iter().enumerate() {
        if figures.groups.iter().any(|group| group.arms[place].published.is_some()) {
            rows.push(row(figures, format!("{}, published (SD 1.4)", arm_title(&arm.arm)), published(place)));
        }
    }
    let counts: Vec<_> = (0..arms.len()).map(|place| row(figures, String::new(), pictures(place))).collect();
    if counts.windows(2).all(|pair| pair[0] == pair[1]) {
        let name = if arms.len() > 1 { "pictures of each method" } else { "pictures" };
        rows.extend(counts.first().map(|_| row(figures, name.to_owned(), pictures(0))));
    } else {
        let counted = |(place, arm): (usize, &ArmFigures)| {
            row(figures, format!("pictures of {}", arm_title(&arm.arm)), pictures(place))
        };
        rows.extend(arms.iter().enumerate().map(counted));
    }
    Table {
        caption: "Means with 95 % intervals".to_owned(),
        head: std::iter::once("method".to_owned()).chain(figures.groups.iter().map(name)).collect(),
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
    let head =
        ["method", "set", "difference", "95 % interval", "p"].iter().chain(changes).chain(&["pairs", "left out"]);
    let head: Vec<_> = head.map(|name| (*name).to_owned()).collect();
    let arms = figures.groups.first().map_or(0, |group| group.arms.len());
    let rows = (1..arms).flat_map(|place| figures.groups.iter().map(move |group| (&group.arms[place], group)));
    let rows = rows.map(|(arm, group)| {
        let mut row = vec![arm_title(&arm.arm).to_owned(), name(group)];
        if let Some(comparison) = &arm.comparison {
            row.extend([
                difference(kind, comparison.difference),
                interval(kind, comparison),
                // One prompt tells nothing of others.
                if comparison.prompts > 1 { probability(comparison.p) } else { NONE.to_owned() },
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
    Table { caption: format!("Difference from {first}{unit}"), rows: rows.collect(), head, names: 2 }
}
