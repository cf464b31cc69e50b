//! The objectives of the methods, made of settings: the registry.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{Subject, TokenKind};
use ae_guidance::{
    AttendAndExcite, BoxDiff, BoxDiffSettings, Conform, Distance, DivideAndBind, DivideAndBindSettings,
    GaussianSmoothing, GuidanceError, GuidanceSettings, LinguisticBinding, MapSet, Negatives, NounPhrase, Objective,
    Pairs, Pieces, Plan, PredicatedDiffusion, Reading, Refinement, RegionSettings, SelfCross, StepSize, Subjects,
};
use ae_settings::{BoundingBox, EotNormalization, Method, PairDistance, PairNegatives, Settings};
use ae_unet::AttentionKind;

use crate::{Input, ObjectiveFactory, ObjectiveSetup, PipelineError};

/// Makes the objective of the method of some settings, which must be one that guides.
#[derive(Debug)]
pub(crate) struct Published<'a>(pub(crate) &'a Settings);

impl ObjectiveFactory for Published<'_> {
    fn name(&self) -> &'static str {
        self.0.method.name()
    }

    fn inputs(&self) -> &'static [Input] {
        match self.0.method {
            Method::SynGen | Method::Ebama | Method::DivideAndBind | Method::Predicated => {
                &[Input::Subjects, Input::Pairs]
            }
            Method::Conform => &[Input::Subjects, Input::Groups],
            Method::BoxDiff => &[Input::Subjects, Input::Boxes],
            _ => &[Input::Subjects],
        }
    }

    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError> {
        let settings = self.0;
        let parts = Parts::new(settings, setup)?;
        parts.check_thresholds()?;
        Ok(match settings.method {
            Method::AttendAndExcite => {
                Arc::new(AttendAndExcite::new(parts.guidance(), parts.subjects()?, parts.resolution)?)
            }
            Method::SynGen | Method::Ebama => Arc::new(parts.linguistic_binding()?),
            Method::SelfCross => {
                let mut own = RegionSettings::self_cross();
                own.top = settings.top_k;
                own.gate = settings.overlap_gate;
                Arc::new(parts.regions(own)?)
            }
            Method::InitNo => Arc::new(parts.regions(RegionSettings::initno())?),
            Method::Conform => Arc::new(parts.conform()?),
            Method::BoxDiff => {
                let mut own = BoxDiffSettings::default();
                own.share = settings.box_share;
                own.reach = settings.box_reach;
                own.thresholds = parts.guidance().thresholds;
                let boxes: Vec<_> = setup.boxes.iter().copied().map(BoundingBox::sides).collect();
                Arc::new(BoxDiff::new(own, parts.plan(), parts.subjects()?, &boxes, parts.shares()?)?)
            }
            Method::DivideAndBind => Arc::new(parts.divide_and_bind()?),
            Method::Predicated => {
                let reading = parts.shares()?;
                let (plan, phrases) = (parts.plan(), parts.phrases());
                Arc::new(PredicatedDiffusion::new(settings.exclusion, plan, &phrases, &parts.windows, reading)?)
            }
            method @ (Method::StableDiffusion | Method::StructureDiffusion | Method::ComposableDiffusion) => {
                unreachable!("{method} does not guide")
            }
        })
    }
}

/// The loss that a noise is searched by: InitNO's, over the maps that the settings have.
///
/// A noise is good enough where every subject reaches the highest threshold below 1, or without one the published 0.8.
///
/// # Errors
///
/// Those of the objective.
pub(crate) fn noise_objective(settings: &Settings, setup: &ObjectiveSetup<'_>) -> Result<SelfCross, PipelineError> {
    let parts = Parts::new(settings, setup)?;
    let thresholds = settings.attend_and_excite.thresholds.iter().map(|(_, threshold)| threshold);
    let highest = thresholds
        .filter(|threshold| *threshold < 1.0)
        .fold(None, |most: Option<f64>, threshold| Some(most.map_or(threshold, |most| most.max(threshold))));
    let mut own = RegionSettings::noise();
    own.thresholds = BTreeMap::from([(0, highest.unwrap_or(0.8))]);
    let plan = Plan::new(0..0, StepSize::Constant(0.0));
    Ok(SelfCross::new(own, plan, parts.subjects()?, parts.shares()?)?)
}

/// The token positions whose attention is shared among the words.
fn windows(settings: &Settings, setup: &ObjectiveSetup<'_>) -> Vec<Range<usize>> {
    let leaves_out_end = match settings.attend_and_excite.eot_normalization {
        EotNormalization::On => true,
        EotNormalization::Off => false,
        EotNormalization::Auto => setup.family == Family::StableDiffusion2,
    };
    let chunks = setup.prompt.chunks().zip(setup.prompt.chunk_ends());
    chunks.map(|(chunk, end)| chunk.start + 1..if leaves_out_end { *end } else { chunk.end - 1 }).collect()
}

/// What objectives are made of.
struct Parts<'a> {
    settings: &'a Settings,
    setup: &'a ObjectiveSetup<'a>,
    windows: Vec<Range<usize>>,
    resolution: [usize; 2],
}

impl<'a> Parts<'a> {
    fn new(settings: &'a Settings, setup: &'a ObjectiveSetup<'a>) -> Result<Self, PipelineError> {
        let resolution = settings.attend_and_excite.attention_res.unwrap_or(setup.resolution);
        setup.resolution_of(&MapSet::cross(resolution))?;
        Ok(Self { settings, setup, windows: windows(settings, setup), resolution })
    }

    /// The parameters of Attend-and-Excite in a run of as many denoising steps as the settings have.
    fn guidance(&self) -> GuidanceSettings {
        let own = &self.settings.attend_and_excite;
        let max_iter_to_alter = own.max_iter_to_alter.resolve(self.settings.steps);
        GuidanceSettings {
            max_iter_to_alter,
            thresholds: own.thresholds.resolve(self.settings.steps, max_iter_to_alter),
            max_refinement_steps: own.max_refinement_steps,
            scale_factor: own.scale_factor,
            scale_range: own.scale_range,
            attention_scale: own.attention_scale,
            smoothing: own.smoothing.then_some(GaussianSmoothing { kernel_size: own.kernel_size, sigma: own.sigma }),
        }
    }

    /// Refuses thresholds where a refinement ends at none: there they only tell its step.
    fn check_thresholds(&self) -> Result<(), PipelineError> {
        let Settings { method, attend_and_excite, .. } = self.settings;
        let other = attend_and_excite.thresholds.iter().find(|(_, threshold)| (threshold - 1.0).abs() > 0.0);
        match other.filter(|_| !method.has_thresholds()) {
            Some((step, threshold)) => {
                let expected = format!(
                    "1 at every step: a refinement of {method} ends at no threshold, but after max_refinement_steps updates"
                );
                Err(PipelineError::Option { option: "thresholds", value: format!("{step}:{threshold}"), expected })
            }
            None => Ok(()),
        }
    }

    fn plan(&self) -> Plan {
        let mut plan = self.guidance().plan();
        if !self.settings.method.has_thresholds() {
            let updates = Refinement::Exactly(self.settings.attend_and_excite.max_refinement_steps);
            plan.refinement.values_mut().for_each(|refinement| *refinement = updates);
        }
        plan
    }

    fn subjects(&self) -> Result<Subjects, GuidanceError> {
        self.words(self.setup.subjects.iter())
    }

    fn words<'s>(&self, words: impl Iterator<Item = &'s Subject>) -> Result<Subjects, GuidanceError> {
        let (names, positions) = words.map(|word| (word.text.clone(), word.positions.clone())).unzip();
        Ok(Subjects::in_windows(positions, self.windows.clone())?.with_names(names))
    }

    /// The subjects with their modifiers.
    fn phrases(&self) -> Vec<NounPhrase> {
        let phrase = |noun: &Subject| {
            let own = self.setup.pairs.iter().filter(|[_, of]| of.positions == noun.positions);
            let modifiers = own.map(|[modifier, _]| modifier.positions.clone()).collect();
            NounPhrase { noun: noun.positions.clone(), modifiers, name: noun.text.clone() }
        };
        self.setup.subjects.iter().map(phrase).collect()
    }

    /// The probabilities as they are.
    fn probabilities(&self) -> Reading {
        Reading::new(self.resolution)
    }

    fn smoothed(&self, reading: Reading) -> Result<Reading, GuidanceError> {
        match self.guidance().smoothing {
            Some(smoothing) => reading.with_smoothing(smoothing),
            None => Ok(reading),
        }
    }

    /// The shares of the words, smoothed, as in Attend-and-Excite.
    fn shares(&self) -> Result<Reading, GuidanceError> {
        self.smoothed(self.probabilities().with_softmax(self.settings.attend_and_excite.attention_scale)?)
    }

    fn linguistic_binding(&self) -> Result<LinguisticBinding, GuidanceError> {
        let Settings { method, distance, negatives, intensity, bare_nouns, as_published, .. } = self.settings;
        let mut pairs = if *method == Method::Ebama { Pairs::ebama() } else { Pairs::syngen() };
        pairs.distance = match distance {
            Some(PairDistance::Kl) => Distance::SymmetricKl,
            Some(PairDistance::Cosine) => Distance::Cosine,
            Some(PairDistance::TotalVariation) => Distance::TotalVariation,
            None => pairs.distance,
        };
        pairs.negatives = match negatives {
            Some(PairNegatives::Noun) => Negatives::Noun,
            Some(PairNegatives::Both) => Negatives::Both,
            None => pairs.negatives,
        };
        pairs.intensity = intensity.unwrap_or(pairs.intensity);
        pairs.bare_nouns = *bare_nouns;
        if *as_published {
            pairs.pieces = Pieces::Largest;
        }
        let text = self.setup.prompt.tokens().iter().filter(|token| token.kind == TokenKind::Text);
        let outside: Vec<_> = text.map(|token| token.index).collect();
        let readings = [self.probabilities(), self.shares()?];
        LinguisticBinding::new(pairs, self.plan(), &self.phrases(), &outside, &self.windows, readings)
    }

    fn regions(&self, mut own: RegionSettings) -> Result<SelfCross, GuidanceError> {
        own.thresholds = self.guidance().thresholds;
        own.overlap_target = self.settings.overlap_target;
        SelfCross::new(own, self.plan(), self.subjects()?, self.shares()?)
    }

    fn conform(&self) -> Result<Conform, GuidanceError> {
        let positions = |group: &Vec<Subject>| group.iter().flat_map(|word| word.positions.clone()).collect();
        let groups: Vec<Vec<usize>> = self.setup.groups.iter().map(positions).collect();
        let mut plan = self.plan();
        if Conform::begins_late(&groups)
            && !self.settings.as_published
            && let Some(refinement) = plan.refinement.remove(&0)
        {
            // Nothing is alike before the second step.
            plan.refinement.entry(1).or_insert(refinement);
        }
        let reading = self.smoothed(self.probabilities())?;
        Conform::new(self.settings.temperature, plan, &groups, &self.windows, reading)
    }

    fn divide_and_bind(&self) -> Result<DivideAndBind, GuidanceError> {
        let mut own = DivideAndBindSettings::default();
        own.thresholds = self.guidance().thresholds;
        own.as_published_code = self.settings.as_published;
        let objective = DivideAndBind::new(own, self.plan(), self.subjects()?, self.shares()?)?;
        let ObjectiveSetup { pairs, subjects, .. } = self.setup;
        if pairs.is_empty() {
            return Ok(objective);
        }
        let attributes = self.words(pairs.iter().map(|[modifier, _]| modifier))?;
        let place = |noun: &Subject| subjects.iter().position(|subject| subject.positions == noun.positions);
        let nouns = pairs.iter().filter_map(|[_, noun]| place(noun)).collect();
        // Attributes are read from the larger maps, where there are any.
        let [rows, cols] = self.resolution;
        let cross = self.setup.sites.iter().filter(|site| site.kind == AttentionKind::Cross);
        let mut larger: Vec<_> = cross.map(|site| site.resolution).filter(|[r, c]| *r > rows && *c > cols).collect();
        larger.sort_unstable();
        larger.dedup();
        if larger.is_empty() {
            larger.push(self.resolution);
        }
        let scale = self.settings.attend_and_excite.attention_scale;
        let readings = larger.into_iter().map(|resolution| Reading::new(resolution).with_softmax(scale));
        Ok(objective.with_attributes(attributes, nouns, readings.collect::<Result<_, _>>()?))
    }
}
