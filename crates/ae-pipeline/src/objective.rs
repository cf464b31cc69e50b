use std::fmt::Debug;
use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{Subject, TokenizedPrompt, find_subjects};
use ae_guidance::{MapSet, Objective};
use ae_settings::{BoundingBox, Settings, SubjectBox, WordGroup, WordPair};
use ae_unet::AttentionSite;

use crate::attention::AttentionLayers;
use crate::binding::Binding;
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

/// What an objective is told about the prompt, in words of the prompt. What is not given is found in the prompt.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObjectiveInputs {
    /// Things that must appear.
    pub subjects: SubjectChoice,
    /// Modifiers, each with its noun, which is a subject: a noun that was not found becomes one.
    pub pairs: Option<Vec<WordPair>>,
    /// Subjects with their modifiers, instead of subjects and pairs.
    pub groups: Option<Vec<WordGroup>>,
    /// A box for each subject; where none is given, the subjects stand side by side. Where subjects are not given, they are those with a box.
    pub boxes: Vec<SubjectBox>,
}

/// What an objective is made of besides its parameters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectiveSetup<'a> {
    /// The prompt as the text encoder sees it.
    pub prompt: &'a TokenizedPrompt,
    /// The subjects, where they are an input; as the others with the positions of their tokens.
    pub subjects: Vec<Subject>,
    /// Modifiers, each with its noun, where pairs or groups are an input.
    pub pairs: Vec<[Subject; 2]>,
    /// Every subject with its modifiers before it, where pairs or groups are an input.
    pub groups: Vec<Vec<Subject>>,
    /// A box for each subject, where boxes are an input.
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

impl ObjectiveInputs {
    /// What settings say of these inputs.
    pub(crate) fn of(settings: &Settings, inputs: &[Input]) -> Self {
        let binds = binds(inputs);
        Self {
            subjects: SubjectChoice::of(settings),
            pairs: settings.pairs.clone().filter(|_| binds),
            groups: settings.groups.clone().filter(|_| binds),
            boxes: if inputs.contains(&Input::Boxes) { settings.boxes.clone() } else { Vec::new() },
        }
    }

    /// Refuses inputs that the objective does not take.
    pub(crate) fn check(&self, objective: &dyn ObjectiveFactory) -> Result<(), PipelineError> {
        let inputs = objective.inputs();
        let given = [
            (Input::Subjects, self.subjects != SubjectChoice::Auto, inputs.contains(&Input::Subjects)),
            (Input::Pairs, self.pairs.is_some(), binds(inputs)),
            (Input::Groups, self.groups.is_some(), binds(inputs)),
            (Input::Boxes, !self.boxes.is_empty(), inputs.contains(&Input::Boxes)),
        ];
        match given.into_iter().find(|(_, is_given, is_taken)| *is_given && !is_taken) {
            Some((input, ..)) => {
                let expected = format!("nothing, which is what '{}' takes", objective.name());
                Err(PipelineError::Option { option: input.name(), value: "given".to_owned(), expected })
            }
            None => Ok(()),
        }
    }
}

/// Whether an objective with these inputs reads which words belong together.
pub(crate) fn binds(inputs: &[Input]) -> bool {
    inputs.iter().any(|input| matches!(input, Input::Pairs | Input::Groups))
}

impl<'a> ObjectiveSetup<'a> {
    /// The setup of one text, whose words are found.
    pub(crate) fn new(
        pipeline: &Pipeline,
        prompt: &'a TokenizedPrompt,
        sites: &'a [AttentionSite],
        resolution: [usize; 2],
        (wanted, inputs): (&[Input], &ObjectiveInputs),
        binding: Binding,
    ) -> Result<Self, PipelineError> {
        let has_boxes = wanted.contains(&Input::Boxes);
        let boxes = if has_boxes { boxes(prompt, &inputs.boxes, &binding.subjects)? } else { Vec::new() };
        let groups = if binds(wanted) { binding.groups() } else { Vec::new() };
        let tokens = prompt.tokens().len();
        let Binding { subjects, pairs } = binding;
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

/// The box of every subject: the one that is given, or where none is, one of several side by side.
fn boxes(
    prompt: &TokenizedPrompt,
    given: &[SubjectBox],
    subjects: &[Subject],
) -> Result<Vec<BoundingBox>, PipelineError> {
    if given.is_empty() {
        return Ok((0..subjects.len()).map(|index| BoundingBox::beside(index, subjects.len())).collect());
    }
    let names: Vec<_> = given.iter().map(|place| &place.subject).collect();
    let named = find_subjects(prompt, &names)?;
    let all: Vec<_> = subjects.iter().map(|subject| subject.text.as_str()).collect();
    if let Some(wrong) = given.iter().find(|given| !given.place.is_valid()) {
        let expected = "sides from 0 to 1, left before right and top before bottom".to_owned();
        return Err(PipelineError::Option { option: "boxes", value: wrong.to_string(), expected });
    }
    let refusal = |value: String, expected: String| PipelineError::Option { option: "boxes", value, expected };
    if let Some(other) = named.iter().find(|named| !subjects.contains(named)) {
        return Err(refusal(other.text.clone(), format!("one of the subjects: {}", all.join(", "))));
    }
    let of = |subject: &Subject| {
        let mut own = named.iter().zip(given).filter(|(named, _)| *named == subject);
        match (own.next(), own.next()) {
            (Some((_, place)), None) => Ok(place.place),
            (None, _) => Err(refusal("missing".to_owned(), format!("one for the subject '{}' too", subject.text))),
            (Some(_), Some(_)) => Err(refusal(subject.text.clone(), "one box for each subject".to_owned())),
        }
    };
    subjects.iter().map(of).collect()
}
