//! What the paper reports, to be shown beside what was measured here.

/// Where the published numbers are from, for the reader of a table.
pub const SOURCE: &str = "published for Stable Diffusion 1.4 (Chefer et al. 2023, arXiv 2301.13826)";

/// The metric of the published similarities: BLIP's caption against the prompt in the text space of CLIP.
const TEXT_TEXT: &str = "text_text";
/// The sets of the published similarities, in the order of the values.
const SETS: [&str; 3] = ["animals", "animals_objects", "objects"];
/// The mean text-text similarity of every arm (section 5, over 64 seeds of each of the 276 prompts).
const SIMILARITIES: [(&str, [f64; 3]); 4] = [
    ("stable-diffusion", [0.767, 0.793, 0.765]),
    ("composable-diffusion", [0.692, 0.769, 0.759]),
    ("structure-diffusion", [0.761, 0.781, 0.762]),
    ("attend-and-excite", [0.806, 0.830, 0.811]),
];

/// The metric that the published claim is about: CLIP's similarity to the half of the prompt that it finds less.
const MINIMUM_OBJECT: &str = "clip_minimum";

/// The mean that the paper reports for a metric, a set and an arm, by the keys and names that this crate uses. It is of Stable
/// Diffusion 1.4 with the paper's own draw of colours: another model, or other prompts, need not come near.
pub fn published(metric: &str, set: &str, arm: &str) -> Option<f64> {
    let (_, values) = SIMILARITIES.iter().find(|(name, _)| metric == TEXT_TEXT && *name == arm)?;
    values.get(SETS.iter().position(|name| *name == set)?).copied()
}

/// What the paper says of a metric without giving the numbers behind it, where arms are there to compare it with.
pub fn published_claim<'a>(metric: &str, arms: impl IntoIterator<Item = &'a str>) -> Option<&'static str> {
    let (mut guided, mut plain) = (false, false);
    for arm in arms {
        guided |= arm == "attend-and-excite";
        plain |= matches!(arm, "stable-diffusion" | "structure-diffusion");
    }
    (metric == MINIMUM_OBJECT && guided && plain).then_some(
        "Published for Stable Diffusion 1.4 (Chefer et al. 2023, section 5): the similarity of the most neglected object is at \
         least 7 % higher with Attend-and-Excite than with Stable Diffusion or StructureDiffusion, as a share of theirs.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_only_where_they_compare() {
        assert_eq!(published("text_text", "animals_objects", "attend-and-excite"), Some(0.83));
        assert_eq!(published("text_text", "objects", "composable-diffusion"), Some(0.759));
        for (metric, set, arm) in [
            ("clip_full", "animals", "attend-and-excite"),
            ("text_text", "prompts", "attend-and-excite"),
            ("text_text", "animals", "attend-and-excite-all-steps"),
        ] {
            assert_eq!(published(metric, set, arm), None);
        }
    }

    #[test]
    fn the_claim_needs_both_sides() {
        let both = ["stable-diffusion", "attend-and-excite"];
        assert!(published_claim("clip_minimum", both).is_some_and(|claim| claim.contains("Stable Diffusion 1.4")));
        assert_eq!(published_claim("clip_full", both), None);
        assert_eq!(published_claim("clip_minimum", both[..1].iter().copied()), None);
    }
}
