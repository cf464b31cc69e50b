use std::fmt::Debug;
use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{Subject, TokenizedPrompt, find_subjects};
use ae_guidance::{MapSet, Objective};
use ae_unet::AttentionSite;

use crate::attention::AttentionLayers;
use crate::{Pipeline, PipelineError, SubjectChoice};

/// Makes the objective of a run, once the tokens of its prompt and the size of its picture are known.
///
/// It is what [`OwnObjective`](crate::OwnObjective) holds: the parameters of a method of one's own.
pub trait ObjectiveFactory: Debug + Send + Sync {
    /// The name of the method, for the record.
    fn name(&self) -> &'static str;

    /// What the objective must be told about the prompt; it is told nothing else.
    fn inputs(&self) -> &'static [Input] {
        &[Input::Subjects]
    }

    /// The objective of one run.
    ///
    /// # Errors
    ///
    /// When a parameter is outside its range or does not fit the prompt.
    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError>;
}

/// Something that an objective must be told about the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Things that must appear.
    Subjects,
    /// Modifiers, each with the noun that it belongs to.
    Pairs,
    /// Words that belong together.
    Groups,
    /// A box for each subject.
    Boxes,
}

/// What an objective is told about the prompt, in words of the prompt.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObjectiveInputs {
    /// Things that must appear.
    pub subjects: SubjectChoice,
    /// Modifiers, each with its noun.
    pub pairs: Vec<[String; 2]>,
    /// Words that belong together.
    pub groups: Vec<Vec<String>>,
    /// A box for each subject.
    pub boxes: Vec<BoundingBox>,
}

/// A part of the picture, in shares of its width and height from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the sides of a box")]
pub struct BoundingBox {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// What an objective is made of besides its parameters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectiveSetup<'a> {
    /// The prompt as the text encoder sees it.
    pub prompt: &'a TokenizedPrompt,
    /// The subjects, where they are an input; as the others with the positions of their tokens.
    pub subjects: Vec<Subject>,
    /// Modifiers, each with its noun.
    pub pairs: Vec<[Subject; 2]>,
    /// Words that belong together.
    pub groups: Vec<Vec<Subject>>,
    /// A box for each subject.
    pub boxes: Vec<BoundingBox>,
    /// Number of token positions, those of the padding included.
    pub tokens: usize,
    /// The generation of the model.
    pub family: Family,
    /// Rows and columns of the attention maps that the model's defaults name.
    pub resolution: [usize; 2],
    /// Every attention layer of the pass.
    pub sites: &'a [AttentionSite],
}

impl From<SubjectChoice> for ObjectiveInputs {
    fn from(subjects: SubjectChoice) -> Self {
        Self { subjects, ..Self::default() }
    }
}

impl Input {
    fn name(self) -> &'static str {
        match self {
            Self::Subjects => "subjects",
            Self::Pairs => "pairs",
            Self::Groups => "groups",
            Self::Boxes => "boxes",
        }
    }
}

impl BoundingBox {
    fn is_valid(self) -> bool {
        let side = |low: f64, high: f64| low >= 0.0 && low < high && high <= 1.0;
        side(self.left, self.right) && side(self.top, self.bottom)
    }
}

impl ObjectiveInputs {
    /// Refuses inputs that the objective does not take, and asks for those that are missing.
    pub(crate) fn check(&self, objective: &dyn ObjectiveFactory) -> Result<(), PipelineError> {
        let (name, inputs) = (objective.name(), objective.inputs());
        let given = [
            // Without a choice they are found in the prompt.
            (Input::Subjects, (self.subjects != SubjectChoice::Auto).then_some(true)),
            (Input::Pairs, Some(!self.pairs.is_empty())),
            (Input::Groups, Some(!self.groups.is_empty() && !self.groups.iter().any(Vec::is_empty))),
            (Input::Boxes, Some(!self.boxes.is_empty())),
        ];
        for (input, given) in given {
            let (value, expected) = match (given, inputs.contains(&input)) {
                (Some(true), false) => ("given", format!("nothing, which is what '{name}' takes")),
                (Some(false), true) => ("missing", format!("what '{name}' is about")),
                _ => continue,
            };
            return Err(PipelineError::Option { option: input.name(), value: value.to_owned(), expected });
        }
        match self.boxes.iter().find(|side| !side.is_valid()) {
            Some(wrong) => Err(PipelineError::Option {
                option: Input::Boxes.name(),
                value: format!("{wrong:?}"),
                expected: "sides from 0 to 1, left before right and top before bottom".to_owned(),
            }),
            None => Ok(()),
        }
    }
}

impl<'a> ObjectiveSetup<'a> {
    /// Finds the words of inputs in the prompt.
    pub(crate) fn new(
        pipeline: &Pipeline,
        prompt: &'a TokenizedPrompt,
        sites: &'a [AttentionSite],
        resolution: [usize; 2],
        inputs: &ObjectiveInputs,
        subjects: Vec<Subject>,
    ) -> Result<Self, PipelineError> {
        let boxes = inputs.boxes.clone();
        if !boxes.is_empty() && boxes.len() != subjects.len() {
            let expected = format!("one for each of {} subjects", subjects.len());
            let value = boxes.len().to_string();
            return Err(PipelineError::Option { option: "number of boxes", value, expected });
        }
        let groups = inputs.groups.iter().map(|words| find_subjects(prompt, words)).collect::<Result<_, _>>()?;
        let pairs = inputs.pairs.iter().map(|pair| {
            let found = find_subjects(prompt, pair)?;
            Ok(found.try_into().expect("as many as were looked for"))
        });
        let pairs = pairs.collect::<Result<_, PipelineError>>()?;
        let tokens = prompt.tokens().len();
        Ok(Self { prompt, subjects, pairs, groups, boxes, tokens, family: pipeline.family, resolution, sites })
    }

    /// Rows and columns of the maps of a set.
    ///
    /// # Errors
    ///
    /// When the U-Net has no such layers, or they are of several resolutions.
    pub fn resolution_of(&self, set: &MapSet) -> Result<[usize; 2], PipelineError> {
        AttentionLayers::find(self.sites, set).map(|layers| layers.resolution)
    }
}
