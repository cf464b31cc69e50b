//! Every objective after Attend-and-Excite against its formulas (`make_objectives_fixtures.py`): losses and gradients of two steps, of
//! two images.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use ae_guidance::{
    BoxDiff, BoxDiffSettings, Conform, DenoisingStep, Distance, DivideAndBind, DivideAndBindSettings, Evaluation,
    GaussianSmoothing, Guidance, LinguisticBinding, MapKind, MapSet, Negatives, NounPhrase, Objective, Pairs, Pieces,
    Plan, PredicatedDiffusion, Reading, Refinement, RegionSettings, RegionWeights, SelfCross, StepSize, Subjects,
};
use ae_tests::{Tensors, fixtures, relative_difference};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

const SIDES: [usize; 2] = [8, 6];
const TWICE: [usize; 2] = [16, 12];
const WINDOW: Range<usize> = 1..11;
/// Of the loss, absolute. Measured: 2e-6.
const LOSS_TOLERANCE: f32 = 1e-4;
/// Of the gradient, in the norm. Measured: 5e-6.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// The softmax that stands in place of a model.
fn model(pattern: Tensor<4>) -> impl Fn(Tensor<4>, &[MapSet]) -> Vec<Vec<Tensor<4>>> {
    move |latents, sets| {
        let flat = |latents: Tensor<4>| {
            let [images, tokens, rows, cols] = latents.dims();
            latents.reshape([images, 1, tokens, rows * cols]).swap_dims(2, 3)
        };
        let heads = |latents: Tensor<4>| {
            let logits = flat(latents);
            vec![softmax(Tensor::cat(vec![logits.clone() * 2.0, logits], 1), 3)]
        };
        let of = |set: &MapSet| {
            if *set == MapSet::cross(SIDES) {
                heads(latents.clone())
            } else if *set == MapSet::cross(TWICE) {
                let [images, tokens, rows, cols] = latents.dims();
                let repeated = latents.clone().reshape([images, tokens, rows * cols, 1]).repeat_dim(3, 2);
                let repeated = repeated.reshape([images, tokens, rows, 2 * cols]).repeat_dim(3, 2);
                heads(repeated.reshape([images, tokens, 2 * rows, 2 * cols]) * pattern.clone())
            } else {
                assert_eq!(set.kind, MapKind::SelfAttention);
                let patches = flat(latents.clone());
                vec![softmax(patches.clone().matmul(patches.swap_dims(2, 3)) * 0.2, 3)]
            }
        };
        sets.iter().map(of).collect()
    }
}

fn words(words: &[&[usize]]) -> Vec<Vec<usize>> {
    words.iter().map(|word| word.to_vec()).collect()
}

fn phrase(noun: &[usize], modifiers: &[&[usize]]) -> NounPhrase {
    NounPhrase { noun: noun.to_vec(), modifiers: words(modifiers), name: String::new() }
}

fn subjects(positions: &[&[usize]]) -> Subjects {
    Subjects::in_windows(words(positions), vec![WINDOW]).unwrap()
}

fn smoothed(reading: Reading) -> Reading {
    reading.with_smoothing(GaussianSmoothing::default()).unwrap()
}

/// As in Attend-and-Excite, but for a smaller scale.
fn shares() -> Reading {
    smoothed(Reading::new(SIDES).with_softmax(20.0).unwrap())
}

fn binding(plan: Plan, settings: Pairs, phrases: &[NounPhrase], outside: &[usize]) -> LinguisticBinding {
    let readings = [Reading::new(SIDES), shares()];
    LinguisticBinding::new(settings, plan, phrases, outside, &[WINDOW], readings).unwrap()
}

/// The objective of a case.
fn objective(name: &str, plan: Plan) -> Arc<dyn Objective> {
    let pairs = [phrase(&[3], &[&[2]]), phrase(&[7], &[&[5], &[6]])];
    let pieces = [phrase(&[3, 4], &[&[2]]), phrase(&[8], &[&[6, 7]])];
    let nouns = [phrase(&[2], &[]), phrase(&[5], &[])];
    let three: [&[usize]; 3] = [&[2], &[5, 6], &[8]];
    let syngen = |change: &dyn Fn(&mut Pairs)| {
        let mut settings = Pairs::syngen();
        change(&mut settings);
        settings
    };
    let conform = |groups: &[&[usize]], reading| {
        Arc::new(Conform::new(0.5, plan.clone(), &words(groups), &[WINDOW], reading).unwrap())
    };
    let regions = |mut settings: RegionSettings, change: &dyn Fn(&mut RegionSettings)| {
        change(&mut settings);
        Arc::new(SelfCross::new(settings, plan.clone(), subjects(&three), shares()).unwrap())
    };
    let divide = |as_published_code: bool| {
        let mut settings = DivideAndBindSettings::default();
        settings.as_published_code = as_published_code;
        DivideAndBind::new(settings, plan.clone(), subjects(&three), shares()).unwrap()
    };
    let bind = |as_published_code: bool| {
        let attributes = subjects(&[&[1], &[7]]);
        Arc::new(divide(as_published_code).with_attributes(attributes, vec![0, 2], vec![Reading::new(TWICE)]))
    };
    match name {
        "syngen" => Arc::new(binding(plan, Pairs::syngen(), &pairs, &[1, 4, 8])),
        "syngen-pieces" => Arc::new(binding(plan, Pairs::syngen(), &pieces, &[1, 5])),
        "syngen-largest" => Arc::new(binding(plan, syngen(&|s| s.pieces = Pieces::Largest), &pieces, &[1, 5])),
        "syngen-nouns" => Arc::new(binding(plan, Pairs::syngen(), &nouns, &[1, 3, 4])),
        "ebama" => Arc::new(binding(plan, Pairs::ebama(), &pairs, &[1, 4, 8])),
        "ebama-nouns" => Arc::new(binding(plan, Pairs::ebama(), &nouns, &[1, 3, 4])),
        "total-variation" => {
            let settings = syngen(&|s| (s.distance, s.negatives) = (Distance::TotalVariation, Negatives::Both));
            Arc::new(binding(plan, settings, &pairs, &[1, 4, 8]))
        }
        "conform" => conform(&[&[2, 3], &[6, 7]], smoothed(Reading::new(SIDES))),
        "conform-subjects" => conform(&[&[2], &[5], &[8]], shares()),
        "boxdiff" => {
            let boxes = [[0.0, 0.1, 0.5, 0.9], [0.55, 0.3, 1.0, 0.62]];
            let subjects = subjects(&three[..2]);
            Arc::new(BoxDiff::new(BoxDiffSettings::default(), plan, subjects, &boxes, shares()).unwrap())
        }
        "initno" => regions(RegionSettings::initno(), &|_| ()),
        "initno-joint" => regions(RegionSettings::initno(), &|settings| {
            settings.update = RegionWeights { overlap: 1.0, clean: 0.1, align: 0.1 };
        }),
        "self-cross" => regions(RegionSettings::self_cross(), &|settings| settings.gate = f64::INFINITY),
        "self-cross-closed" => regions(RegionSettings::self_cross(), &|settings| settings.gate = 0.01),
        "divide" => Arc::new(divide(false)),
        "divide-published" => Arc::new(divide(true)),
        "bind" => bind(false),
        "bind-published" => bind(true),
        "predicated" => {
            let reading = Reading::new(SIDES);
            Arc::new(PredicatedDiffusion::new(0.3, plan, &pairs, &[WINDOW], reading).unwrap())
        }
        unknown => panic!("a case without a test: {unknown}"),
    }
}

const CASES: [&str; 19] = [
    "syngen",
    "syngen-pieces",
    "syngen-largest",
    "syngen-nouns",
    "ebama",
    "ebama-nouns",
    "total-variation",
    "conform",
    "conform-subjects",
    "boxdiff",
    "initno",
    "initno-joint",
    "self-cross",
    "self-cross-closed",
    "divide",
    "divide-published",
    "bind",
    "bind-published",
    "predicated",
];

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().unwrap()
}

#[test]
fn losses_and_gradients_are_those_of_the_formulas() {
    let device = Device::flex();
    let expected = Tensors::read(&fixtures("objectives/objectives.safetensors"));
    let latents: Tensor<5> = expected.tensor("latents", &device);
    let pattern: Tensor<2> = expected.tensor("pattern", &device);
    let model = model(pattern.reshape([1, 1, TWICE[0], TWICE[1]]));
    let of_step = |step: usize| latents.clone().narrow(0, step / 10 - 1, 1).reshape([2, 12, SIDES[0], SIDES[1]]);
    let at = |step| DenoisingStep::new(step, 50, 500.0);
    let observe = &mut |_: Evaluation<'_>| ControlFlow::Continue(());
    let close = |what: &str, loss: Vec<f32>, gradient: Vec<f32>, suffix: &str| {
        let (losses, _) = expected.values(&format!("{what}/{suffix}loss"));
        for (loss, expected) in loss.iter().zip(losses) {
            assert!((loss - expected).abs() <= LOSS_TOLERANCE, "{what}: loss {loss}, expected {expected}");
        }
        let (gradients, _) = expected.values(&format!("{what}/{suffix}gradient"));
        let difference = if gradients.iter().all(|value| *value == 0.0) {
            f64::from(gradient.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())))
        } else {
            relative_difference(&gradient, &gradients)
        };
        assert!(difference <= GRADIENT_TOLERANCE, "{what}: the gradient is {difference} off");
    };
    for case in CASES {
        let mut guidance = Guidance::new(objective(case, Plan::new(0..50, StepSize::Constant(1.0)))).unwrap();
        for step in [10, 20] {
            let guided = guidance.guide(&model, of_step(step), at(step), observe).unwrap();
            let gradient = guided.gradient().unwrap_or_else(|| of_step(step).zeros_like());
            let losses = guided.read_traces(observe).unwrap().iter().map(|trace| trace.last().loss).collect();
            close(&format!("{case}/{step}"), losses, values(gradient), "");
        }
        for step in [10, 20].into_iter().filter(|step| expected.has(&format!("{case}/{step}/refinement_loss"))) {
            let plan = Plan::new(0..0, StepSize::Constant(1.0)).with_refinement([(step, Refinement::Exactly(1))]);
            let mut guidance = Guidance::new(objective(case, plan)).unwrap();
            let guided = guidance.guide(&model, of_step(step), at(step), observe).unwrap();
            let gradient = of_step(step) - guided.latents();
            let traces = guided.read_traces(observe).unwrap();
            let losses = traces.iter().map(|trace| trace.first().refinement_loss.unwrap()).collect();
            close(&format!("{case}/{step}"), losses, values(gradient), "refinement_");
        }
    }
}

/// Maps without contrast, and such that a token has all of the attention of a patch and the others none.
#[test]
fn maps_without_contrast_and_maps_of_nothing_else_give_numbers() {
    let device = Device::flex();
    let model = model(Tensor::ones([1, 1, TWICE[0], TWICE[1]], &device));
    let observe = &mut |_: Evaluation<'_>| ControlFlow::Continue(());
    let latents = |height: f32| {
        let value = |i: usize| if i / 48 % 12 == i % 7 { height } else { 0.0 };
        let values: Vec<f32> = (0..2 * 12 * 48).map(value).collect();
        Tensor::<4>::from_data(burn::tensor::TensorData::new(values, [2, 12, SIDES[0], SIDES[1]]), &device)
    };
    for case in CASES {
        for height in [0.0, 300.0] {
            let plan = Plan::new(0..50, StepSize::Constant(1.0)).with_refinement([(10, Refinement::Exactly(1))]);
            let mut guidance = Guidance::new(objective(case, plan)).unwrap();
            for step in [10, 20] {
                let step = DenoisingStep::new(step, 50, 500.0);
                let guided = guidance.guide(&model, latents(height), step, observe).unwrap();
                let shifted = values(guided.latents());
                guided.read_traces(observe).unwrap_or_else(|error| panic!("{case} at {height}: {error}"));
                assert!(shifted.iter().all(|value| value.is_finite()), "{case} at {height}");
            }
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let plan = || Plan::new(0..1, StepSize::Constant(1.0));
    let readings = || [Reading::new(SIDES), shares()];
    let pairs = |settings, phrases: &[NounPhrase], outside: &[usize]| {
        LinguisticBinding::new(settings, plan(), phrases, outside, &[WINDOW], readings()).map(drop)
    };
    let conform =
        |groups: &[&[usize]]| Conform::new(0.5, plan(), &words(groups), &[WINDOW], Reading::new(SIDES)).map(drop);
    let boxes = |boxes: &[[f64; 4]]| {
        let one = subjects(&[&[2]]);
        BoxDiff::new(BoxDiffSettings::default(), plan(), one, boxes, shares()).map(drop)
    };
    let bare = [phrase(&[2], &[])];
    for (result, expected) in [
        (pairs(Pairs::syngen(), &bare, &[]), "there is nothing to compare"),
        (pairs(Pairs::syngen(), &[phrase(&[2], &[&[2]])], &[5]), "token 2 belongs to two"),
        (pairs(Pairs::syngen(), &[phrase(&[40], &[])], &[5]), "token 40 cannot be a subject"),
        (conform(&[&[2]]), "there is nothing to compare"),
        (conform(&[&[2, 3], &[3]]), "token 3 belongs to two"),
        (conform(&[&[2], &[]]), "no subject is given"),
        (boxes(&[]), "boxes is 0: expected one for each subject"),
        (boxes(&[[0.2, 0.2, 0.2, 0.4]]), "boxes is 0.2: expected sides"),
        (boxes(&[[0.2, 0.2, 1.4, 0.4]]), "boxes is 0.2: expected sides"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}, expected {expected}");
    }
    // EBAMA has the intensity of a noun alone.
    assert_eq!(pairs(Pairs::ebama(), &bare, &[]), Ok(()));
}

#[test]
fn one_subject_has_nothing_to_overlap_with() {
    let device = Device::flex();
    let model = model(Tensor::ones([1, 1, TWICE[0], TWICE[1]], &device));
    let observe = &mut |_: Evaluation<'_>| ControlFlow::Continue(());
    let plan = Plan::new(0..1, StepSize::Constant(1.0));
    let objective = SelfCross::new(RegionSettings::self_cross(), plan, subjects(&[&[2]]), shares()).unwrap();
    let latents = Tensor::<4>::ones([1, 12, SIDES[0], SIDES[1]], &device);
    let guided =
        Guidance::new(Arc::new(objective)).unwrap().guide(&model, latents, DenoisingStep::new(0, 50, 500.0), observe);
    let traces = guided.unwrap().read_traces(observe).unwrap();
    let overlap = traces[0].last().terms.iter().find(|term| term.name == "overlap").unwrap();
    assert!(overlap.value.abs() < f32::EPSILON);
}
