use std::str::FromStr;

use ae_unet::AttentionSite;

/// Attention layers of a U-Net, and heads of them.
///
/// It is parsed from a diffusers path, in which `*` stands for any characters, and heads after `#`:
/// `up_blocks.1.attentions.0.transformer_blocks.0.attn2`, `*.attn2` (all cross-attentions), `mid_block.*.attn1#0,3`.
/// Without heads it means all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerChoice {
    pattern: String,
    /// Empty for all.
    heads: Vec<usize>,
}

/// A choice of attention layers that means none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerChoiceError {
    /// The heads are no numbers.
    #[error("'{text}' names no heads after #: expected numbers separated by commas, such as #0,3")]
    Heads {
        /// The choice.
        text: String,
    },
    /// No layer has such a path.
    #[error("the U-Net has no attention layer '{pattern}'; it has {available}")]
    NoLayer {
        /// The pattern.
        pattern: String,
        /// The paths it has.
        available: String,
    },
    /// A layer has fewer heads.
    #[error("'{layer}' has {heads} heads, counted from 0: there is no head {head}")]
    NoHead {
        /// The path of the layer.
        layer: String,
        /// The number of its heads.
        heads: usize,
        /// The head that was chosen.
        head: usize,
    },
}

impl FromStr for LayerChoice {
    type Err = LayerChoiceError;

    fn from_str(text: &str) -> Result<Self, LayerChoiceError> {
        let (pattern, heads) = match text.split_once('#') {
            Some((pattern, heads)) => (pattern, heads.split(',').map(|head| head.trim().parse()).collect()),
            None => (text, Ok(Vec::new())),
        };
        let heads = heads.map_err(|_: std::num::ParseIntError| LayerChoiceError::Heads { text: text.to_owned() })?;
        Ok(Self { pattern: pattern.trim().to_owned(), heads })
    }
}

impl LayerChoice {
    /// The layers that are meant among `sites`, with the heads of each.
    pub(crate) fn resolve(
        &self,
        sites: &[AttentionSite],
    ) -> Result<Vec<(AttentionSite, Vec<usize>)>, LayerChoiceError> {
        let meant = sites.iter().filter(|site| matches(&self.pattern, &site.path())).map(|&site| {
            let heads = if self.heads.is_empty() { (0..site.heads).collect() } else { self.heads.clone() };
            match heads.iter().find(|&&head| head >= site.heads) {
                Some(&head) => Err(LayerChoiceError::NoHead { layer: site.path(), heads: site.heads, head }),
                None => Ok((site, heads)),
            }
        });
        let meant = meant.collect::<Result<Vec<_>, _>>()?;
        if meant.is_empty() {
            let available = sites.iter().map(AttentionSite::path).collect::<Vec<_>>().join(", ");
            return Err(LayerChoiceError::NoLayer { pattern: self.pattern.clone(), available });
        }
        Ok(meant)
    }
}

/// The layers whose paths some patterns mean, in the order of the pass.
pub(crate) fn find_layers(
    patterns: &[String],
    sites: &[AttentionSite],
) -> Result<Vec<AttentionSite>, LayerChoiceError> {
    for pattern in patterns {
        LayerChoice { pattern: pattern.clone(), heads: Vec::new() }.resolve(sites)?;
    }
    let meant = |site: &&AttentionSite| patterns.iter().any(|pattern| matches(pattern, &site.path()));
    Ok(sites.iter().filter(meant).copied().collect())
}

/// Whether a text is what a pattern says, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*');
    let end = parts.next_back().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use ae_unet::{AttentionKind, Place};

    use super::*;

    fn sites() -> Vec<AttentionSite> {
        let site =
            |place, kind| AttentionSite { place, block: 1, layer: 0, depth: 0, kind, heads: 4, resolution: [8, 8] };
        let kinds = [AttentionKind::SelfAttention, AttentionKind::Cross];
        [Place::Down, Place::Mid, Place::Up].into_iter().flat_map(|place| kinds.map(|kind| site(place, kind))).collect()
    }

    fn chosen(text: &str) -> Result<Vec<(String, Vec<usize>)>, LayerChoiceError> {
        let meant = text.parse::<LayerChoice>()?.resolve(&sites())?;
        Ok(meant.into_iter().map(|(site, heads)| (site.path(), heads)).collect())
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, expected) in [
            ("*", 6),
            ("*.attn2", 3),
            ("up_blocks.*", 2),
            ("up_blocks.1.attentions.0.transformer_blocks.0.attn2", 1),
            ("mid*attentions.0*attn1", 1),
            ("*.attn2*", 3),
            ("*blocks.1*0*", 4),
        ] {
            assert_eq!(chosen(pattern).unwrap().len(), expected, "{pattern}");
        }
        assert!(!matches("aba*ba", "aba"));
        assert!(matches("ab*ba", "abba"));
    }

    #[test]
    fn heads_follow_a_hash_and_are_checked() {
        let path = "mid_block.attentions.0.transformer_blocks.0.attn1".to_owned();
        assert_eq!(chosen("mid_block.*.attn1#3, 0").unwrap(), [(path.clone(), vec![3, 0])]);
        assert_eq!(chosen("mid_block.*.attn1").unwrap(), [(path.clone(), vec![0, 1, 2, 3])]);
        assert_eq!(chosen("mid*1#4"), Err(LayerChoiceError::NoHead { layer: path, heads: 4, head: 4 }));
        for text in ["*#", "*#one", "*#-1", "*#0,"] {
            assert_eq!(chosen(text), Err(LayerChoiceError::Heads { text: text.to_owned() }));
        }
        let error = chosen("attn2").unwrap_err().to_string();
        assert!(error.starts_with("the U-Net has no attention layer 'attn2'; it has down_blocks.1.att"), "{error}");
    }
}
