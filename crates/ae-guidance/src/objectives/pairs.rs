use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::largest::patches;
use super::scaled::{directions, distributions};
use crate::error::check;
use crate::{GuidanceError, Losses, MapSet, Objective, Pass, Plan, Reading, Score, Subjects};

/// Linguistic binding: a modifier must attend where its noun does, and both elsewhere than the rest of the prompt.
///
/// SynGen (Rassin et al. 2023) and EBAMA (Zhang et al. 2024) are two settings of it: [`Pairs::syngen`], [`Pairs::ebama`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pairs {
    /// How far two maps are apart.
    pub distance: Distance,
    /// Whose distance to the rest of the prompt counts.
    pub negatives: Negatives,
    /// Whether nouns without a modifier must be apart from the rest too. Without them a prompt without modifiers is not guided.
    pub bare_nouns: bool,
    /// Weight of the largest value of the smoothed map of every noun, as in Attend-and-Excite.
    pub intensity: f64,
    /// How the map of a word of several tokens is found.
    pub pieces: Pieces,
}

/// How far apart the maps of two words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// The mean of both Kullback-Leibler divergences of the maps as distributions.
    SymmetricKl,
    /// One minus the cosine of the angle between the maps.
    Cosine,
    /// Half the sum of the differences of the maps as distributions.
    TotalVariation,
}

/// Whose distance to the words outside a pair counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negatives {
    /// That of the noun (EBAMA).
    Noun,
    /// Half that of the noun and half that of the modifier (SynGen).
    Both,
}

/// How words of several tokens are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// The map of a word is the sum of those of its tokens.
    Sum,
    /// The distance of two words is the largest of any two of their tokens (SynGen's code).
    Largest,
}

/// A noun and its modifiers, as token positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NounPhrase {
    /// The positions of the noun.
    pub noun: Vec<usize>,
    /// The positions of every modifier.
    pub modifiers: Vec<Vec<usize>>,
    /// The name for the record.
    pub name: String,
}

impl Pairs {
    /// SynGen, with its option to count nouns without a modifier.
    pub fn syngen() -> Self {
        Self {
            distance: Distance::SymmetricKl,
            negatives: Negatives::Both,
            bare_nouns: true,
            intensity: 0.0,
            pieces: Pieces::Sum,
        }
    }

    /// EBAMA.
    pub fn ebama() -> Self {
        Self { distance: Distance::Cosine, negatives: Negatives::Noun, intensity: 0.5, ..Self::syngen() }
    }

    /// What is compared of a phrase, whose noun comes first, with the maps of the others.
    fn comparisons(&self, phrase: &[Vec<usize>], others: &[usize]) -> Vec<Comparison> {
        let (noun, modifiers) = (&phrase[0], &phrase[1..]);
        let away = |word: &[usize], weight: f64| {
            let share = -weight / others.len() as f64;
            others.iter().map(|&other| Comparison::new(word, &[other], share)).collect::<Vec<_>>()
        };
        let mut comparisons = Vec::new();
        for modifier in modifiers {
            comparisons.push(Comparison::new(modifier, noun, 1.0));
            match self.negatives {
                Negatives::Noun => comparisons.extend(away(noun, 1.0)),
                Negatives::Both => comparisons.extend([noun, modifier].into_iter().flat_map(|word| away(word, 0.5))),
            }
        }
        if modifiers.is_empty() && self.bare_nouns {
            comparisons.extend(away(noun, 1.0));
        }
        comparisons
    }
}

impl NounPhrase {
    /// The noun, and every modifier.
    fn words(&self) -> impl Iterator<Item = &Vec<usize>> {
        std::iter::once(&self.noun).chain(&self.modifiers)
    }
}

/// The objective of [`Pairs`].
#[derive(Clone, Debug)]
pub struct LinguisticBinding {
    settings: Pairs,
    plan: Plan,
    /// Of the probabilities as they are.
    reading: Reading,
    /// Of the maps whose largest value counts.
    intensity: Reading,
    /// The words that are compared, or with [`Pieces::Largest`] their tokens.
    words: Subjects,
    nouns: Subjects,
    /// For every phrase the rows of the distances that it compares, and their weights.
    comparisons: Vec<Vec<Comparison>>,
    names: Arc<[String]>,
}

/// The distance of two words: the largest of these pairs of maps, with a weight.
#[derive(Clone, Debug)]
struct Comparison {
    pairs: Vec<[usize; 2]>,
    weight: f64,
}

impl LinguisticBinding {
    /// The objective for the noun phrases of a prompt.
    ///
    /// `outside` are the positions of the other tokens of the prompt, articles and conjunctions included; tokens of other phrases are
    /// outside of a phrase too. `windows` are the positions of the prompt (see [`Subjects::in_windows`]); `reading` tells where
    /// the probabilities are read, and `intensity` how for the maps whose largest value counts.
    ///
    /// # Errors
    ///
    /// When nothing would be compared, a weight is not a number from zero on, a position is not in the windows,
    /// or a token belongs to two words.
    pub fn new(
        settings: Pairs,
        plan: Plan,
        phrases: &[NounPhrase],
        outside: &[usize],
        windows: &[Range<usize>],
        [reading, intensity]: [Reading; 2],
    ) -> Result<Self, GuidanceError> {
        let weight = settings.intensity;
        let is_valid = weight.is_finite() && weight >= 0.0;
        check("intensity", weight, is_valid, "a number that is not negative")?;
        let mut seen = BTreeSet::new();
        for &position in phrases.iter().flat_map(NounPhrase::words).flatten() {
            if !seen.insert(position) {
                return Err(GuidanceError::SharedToken { position });
            }
        }
        let mut rows = Rows { pieces: settings.pieces, positions: Vec::new() };
        let mut of = |phrase: &NounPhrase| phrase.words().map(|word| rows.of(word)).collect();
        let phrase_rows: Vec<Vec<Vec<usize>>> = phrases.iter().map(&mut of).collect();
        let single = outside.iter().filter(|position| !seen.contains(position));
        let outside_rows: Vec<usize> = single.flat_map(|&position| rows.of(&[position])).collect();
        let comparisons: Vec<_> = (0..phrases.len())
            .map(|phrase| {
                // Map by map: with tokens that are compared one by one, each counts.
                let others = phrase_rows.iter().enumerate().filter(|(other, _)| *other != phrase);
                let others = others.flat_map(|(_, words)| words).flatten().chain(&outside_rows);
                settings.comparisons(&phrase_rows[phrase], &others.copied().collect::<Vec<_>>())
            })
            .collect();
        if comparisons.iter().all(Vec::is_empty) && settings.intensity == 0.0 {
            return Err(GuidanceError::NothingToCompare);
        }
        let nouns = Subjects::in_windows(phrases.iter().map(|phrase| phrase.noun.clone()).collect(), windows.to_vec())?;
        let words = Subjects::in_windows(rows.positions, windows.to_vec())?;
        let mut names: Vec<String> = phrases.iter().map(|phrase| phrase.name.clone()).collect();
        if settings.intensity > 0.0 {
            names.extend(phrases.iter().map(|phrase| format!("{} (intensity)", phrase.name)));
        }
        let names = names.into();
        Ok(Self { settings, plan, reading, intensity, words, nouns, comparisons, names })
    }

    /// The distances of all words to each other, `[images, words, words]`.
    fn distances(&self, maps: Tensor<3>) -> Tensor<3> {
        let turned = |maps: &Tensor<3>| maps.clone().swap_dims(1, 2);
        match self.settings.distance {
            Distance::Cosine => {
                let direction = directions(maps);
                -direction.clone().matmul(turned(&direction)) + 1.0
            }
            Distance::SymmetricKl => {
                let shares = distributions(maps);
                // As torch, whose logarithm of a probability ends at the smallest step of the type.
                let logs = shares.clone().clamp_min(f64::from(f32::EPSILON)).log();
                let own = (shares.clone() * logs.clone()).sum_dim(2);
                let cross = shares.matmul(turned(&logs));
                (own.clone() + turned(&own) - cross.clone() - turned(&cross)) * 0.5
            }
            Distance::TotalVariation => {
                let [images, words, patches] = maps.dims();
                let shares = distributions(maps);
                let difference =
                    shares.clone().reshape([images, words, 1, patches]) - shares.reshape([images, 1, words, patches]);
                difference.abs().sum_dim(3).reshape([images, words, words]) * 0.5
            }
        }
    }
}

impl Objective for LinguisticBinding {
    fn maps(&self) -> Vec<MapSet> {
        vec![self.reading.set()]
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn term_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let maps = self.reading.maps(&self.words, pass, 0);
        let [images, words, rows, cols] = maps.dims();
        let device = maps.device().without_autodiff();
        let distances = self.distances(maps.reshape([images, words, rows * cols])).reshape([images, words * words]);
        // What is the distance of two maps is summed up by a product; the largest of several is looked for.
        let phrases = self.comparisons.len();
        let mut weights = vec![0.0_f32; words * words * phrases];
        let mut largest = Vec::new();
        for (phrase, comparison) in
            self.comparisons.iter().enumerate().flat_map(|(i, all)| all.iter().map(move |one| (i, one)))
        {
            match comparison.pairs[..] {
                [[a, b]] => weights[(a * words + b) * phrases + phrase] += comparison.weight as f32,
                _ => largest.push((phrase, comparison)),
            }
        }
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [words * words, phrases]), &device);
        let mut of_phrases = distances.clone().matmul(weights);
        for (phrase, Comparison { pairs, weight }) in largest {
            let places: Vec<usize> = pairs.iter().map(|[a, b]| a * words + b).collect();
            let mut column = vec![0.0_f32; phrases];
            column[phrase] = *weight as f32;
            let column = Tensor::<2>::from_data(TensorData::new(column, [1, phrases]), &device);
            of_phrases = of_phrases + patches(&distances, &places).max_dim(1).matmul(column);
        }
        let mut terms = vec![of_phrases];
        if self.settings.intensity > 0.0 {
            let nouns = self.intensity.maps(&self.nouns, pass, 0).reshape([images, self.nouns.count(), rows * cols]);
            let largest = nouns.max_dim(2).reshape([images, self.nouns.count()]);
            terms.push(largest * -self.settings.intensity);
        }
        let terms = Tensor::cat(terms, 1);
        let loss = terms.clone().sum_dim(1).reshape([images]);
        Ok(Score::new(loss, Arc::clone(&self.names), terms))
    }

    /// Nothing satisfies it: the loss has no least value. Its plans have no refinement.
    fn is_satisfied(&self, _: usize, _: &Losses) -> bool {
        false
    }
}

/// The maps that are compared, as token positions.
struct Rows {
    pieces: Pieces,
    positions: Vec<Vec<usize>>,
}

impl Rows {
    /// The rows of a word: one, or one for each token.
    fn of(&mut self, word: &[usize]) -> Vec<usize> {
        let first = self.positions.len();
        match self.pieces {
            Pieces::Sum => self.positions.push(word.to_vec()),
            Pieces::Largest => self.positions.extend(word.iter().map(|&position| vec![position])),
        }
        (first..self.positions.len()).collect()
    }
}

impl Comparison {
    fn new(a: &[usize], b: &[usize], weight: f64) -> Self {
        let pairs = a.iter().flat_map(|&a| b.iter().map(move |&b| [a, b])).collect();
        Self { pairs, weight }
    }
}
