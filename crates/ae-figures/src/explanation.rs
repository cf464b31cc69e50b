use ae_settings::Method;
use image::RgbImage;
use serde::Serialize;
use serde_json::Value;

use crate::Step;

/// One seed of a prompt, and how its picture came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The prompt.
    pub prompt: String,
    /// The seed.
    pub seed: u64,
    /// What draws it again.
    pub command: String,
    /// Every setting.
    pub settings: Value,
    /// The settings of the model where nothing is given, which a report compares with; null where they are not known.
    pub defaults: Value,
    /// Losses, refinement and times of every step.
    pub trace: Value,
    /// The tokens of the prompt, from the start token to the end token.
    pub tokens: Vec<Token>,
    /// The subjects whose attention is shown.
    pub subjects: Vec<Subject>,
    /// The terms of the loss, as the [evaluations](crate::StepGuidance::evaluations) have them.
    pub terms: Vec<Term>,
    /// The attention layers of which the maps are the mean, by diffusers' paths; empty where they are not known.
    pub layers: Vec<String>,
    /// The guided run, and the plain one if it was drawn too.
    pub runs: Vec<Run>,
}

/// A token of the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its position.
    pub index: usize,
    /// The text it stands for.
    pub text: String,
    /// `start`, `text`, `special` or `end`.
    pub kind: String,
    /// Its subject, as an index into the subjects.
    pub subject: Option<usize>,
}

/// Something that the picture is to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its word.
    pub text: String,
    /// The positions of its tokens.
    pub positions: Vec<usize>,
}

/// A term of the loss that guidance lowers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Its name.
    pub name: String,
    /// The subject that it belongs to, as an index into the subjects, if it belongs to one.
    pub subject: Option<usize>,
}

impl Term {
    /// Returns one term for each subject, named as the subject, as Attend-and-Excite has them.
    pub fn per_subject(subjects: &[Subject]) -> Vec<Self> {
        let term = |(index, subject): (usize, &Subject)| Self { name: subject.text.clone(), subject: Some(index) };
        subjects.iter().enumerate().map(term).collect()
    }
}

/// One way to draw the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// `attend-and-excite` or `stable-diffusion`, or another name.
    pub method: String,
    /// The picture.
    pub picture: RgbImage,
    /// The subjects that a detector finds in the picture; none without a detector that knows them.
    pub found: Option<Vec<String>>,
    /// Every denoising step.
    pub steps: Vec<Step>,
}

/// Whose attention a figure shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapChoice {
    /// The subjects'.
    Subjects,
    /// That of every token of the prompt's text.
    All,
}

impl Run {
    /// The method as people write it.
    pub(crate) fn title(&self) -> &str {
        Method::title_of(&self.method)
    }
}
