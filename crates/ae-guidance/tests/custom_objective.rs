//! Objectives written outside of the crate, unlike Attend-and-Excite in everything an objective may differ in: self-attention,
//! negative losses, another loss in refinements, choices on the host, state between steps.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use ae_guidance::{
    AttendAndExcite, DenoisingStep, Guidance, GuidanceError, GuidanceSettings, GuidanceTrace, Losses, MapSet,
    Objective, Observer, Pass, Plan, Refinement, Score, StepSize, Subjects, Term,
};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

const SIDE: usize = 4;
const PATCHES: usize = SIDE * SIDE;
const TOKENS: usize = 5;

/// Two channels on 4x4 patches attend to five tokens through fixed keys, or to each other.
fn toy(latents: Tensor<4>, sets: &[MapSet]) -> Vec<Vec<Tensor<4>>> {
    let batch = latents.dims()[0];
    let patches = latents.reshape([batch, 1, 2, PATCHES]).swap_dims(2, 3);
    let layers = |set: &MapSet| {
        let keys = if *set == MapSet::cross([SIDE, SIDE]) {
            let keys: [[f32; TOKENS]; 2] = [[0.3, 1.1, -0.4, 0.9, -1.2], [-0.7, 0.2, 1.3, -0.5, 0.4]];
            Tensor::<2>::from_data(TensorData::from(keys), &Device::flex()).reshape([1, 1, 2, TOKENS])
        } else {
            assert_eq!(*set, MapSet::self_attention([SIDE, SIDE]));
            patches.clone().swap_dims(2, 3)
        };
        vec![softmax(patches.clone().matmul(keys), 3)]
    };
    sets.iter().map(layers).collect()
}

fn latents(batch: usize) -> Tensor<4> {
    let values: Vec<f32> = (0..batch * 2 * PATCHES).map(|i| ((i * 37 % 19) as f32 / 9.0 - 1.0) * 0.8).collect();
    Tensor::from_data(TensorData::new(values, [batch, 2, SIDE, SIDE]), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().unwrap()
}

/// A subject must attract attention where its patches attend to each other, and that must not change from step to step.
#[derive(Clone, Debug)]
struct Steady {
    token: usize,
    plan: Plan,
    /// The change between steps at which an image is satisfied.
    bound: f32,
}

impl Steady {
    fn new(refinement: Refinement) -> Self {
        let plan = Plan::new(1..4, StepSize::Constant(0.5)).with_refinement([(2, refinement)]);
        Self { token: 2, plan, bound: 0.0 }
    }
}

impl Objective for Steady {
    fn maps(&self) -> Vec<MapSet> {
        vec![MapSet::cross([SIDE, SIDE]), MapSet::self_attention([SIDE, SIDE])]
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let cross = pass.aggregate(0, [SIDE, SIDE]).narrow(3, self.token, 1);
        let images = cross.dims()[0];
        let among = pass.aggregate(1, [SIDE, SIDE]).reshape([images, PATCHES, PATCHES]);
        // Made on the host: the patches with more than the mean. One transfer for all images.
        let (read, mut mask) = (ae_tensor::read(cross.clone())?, Vec::new());
        for map in read.chunks(PATCHES) {
            let mean = map.iter().sum::<f32>() / PATCHES as f32;
            mask.extend(map.iter().map(|&value| f32::from(u8::from(value > mean))));
        }
        let mask = Tensor::<3>::from_data(TensorData::new(mask, [images, PATCHES, 1]), &Device::flex());

        let map = cross.reshape([images, PATCHES, 1]) * mask;
        let region = -among.matmul(map.clone()).sum_dim(1).reshape([images, 1]) * 3.0;
        let average = map.clone().reshape([images, 1, SIDE, SIDE]);
        let average = match pass.state.get("average") {
            Some(before) => before * 0.9 + average * 0.1,
            None => average,
        };
        let change = match pass.state.previous_step("map") {
            Some(before) => (map.clone() - before.reshape([images, PATCHES, 1])).abs().mean_dim(1).reshape([images, 1]),
            None => region.zeros_like(),
        };
        let drift = (map.clone() - average.clone().reshape([images, PATCHES, 1])).abs().sum_dim(1).reshape([images, 1]);
        pass.state.set("average", average);
        pass.state.set("map", map.reshape([images, 1, SIDE, SIDE]));

        let loss = (region.clone() + change.clone()).reshape([images]);
        let in_refinement = (region.clone() * 0.5 + drift.clone()).reshape([images]);
        let names = ["region", "change", "drift"].map(str::to_owned).into();
        let terms = Tensor::cat(vec![region, change, drift], 1);
        Ok(Score::new(loss, names, terms).with_refinement_loss(in_refinement))
    }

    fn is_satisfied(&self, _: usize, losses: &Losses) -> bool {
        losses.terms[1].value < self.bound
    }
}

/// All steps of a run over one objective: the latents and the traces of every step, image by image.
fn run(objective: impl Objective + 'static, mut latents: Tensor<4>) -> (Tensor<4>, Vec<Vec<GuidanceTrace>>) {
    let mut guidance = Guidance::new(Arc::new(objective)).unwrap();
    let mut observe = |_: ae_guidance::Evaluation<'_>| ControlFlow::Continue(());
    let mut traces = Vec::new();
    for index in 0..5 {
        let step = DenoisingStep::new(index, 5, 900.0 - index as f64);
        let guided = guidance.guide(&toy, latents, step, &mut observe).unwrap();
        latents = guided.latents() * 0.9 + 0.01;
        traces.push(guided.read_traces(&mut observe).unwrap());
    }
    (latents, traces)
}

#[test]
fn a_negative_loss_is_followed_downwards() {
    let (_, traces) = run(Steady::new(Refinement::Exactly(4)), latents(1));
    assert_eq!(traces.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 1, 1, 0]);
    let refined = &traces[2][0].evaluations;
    assert!(refined.iter().all(|losses| losses.loss < 0.0), "{refined:?}");
    let in_refinement = |losses: &Losses| losses.refinement_loss.unwrap();
    assert!(in_refinement(&refined[4]) < in_refinement(&refined[0]), "{refined:?}");
    let names: Vec<_> = refined[0].terms.iter().map(|Term { name, .. }| name.as_str()).collect();
    assert_eq!(names, ["region", "change", "drift"]);
}

#[test]
fn state_is_that_of_the_step_before_and_of_the_evaluation_before() {
    let (_, traces) = run(Steady::new(Refinement::Exactly(2)), latents(1));
    let term = |step: usize, evaluation: usize, term: usize| traces[step][0].evaluations[evaluation].terms[term].value;
    assert!(term(1, 0, 1).abs() < f32::EPSILON, "nothing comes before the first guided step");
    assert!(term(2, 0, 1) > 0.0 && term(3, 0, 1) > 0.0);
    assert!(term(2, 1, 2) > 0.0, "the average is of all evaluations");
}

#[test]
fn a_batch_is_guided_as_its_images_alone_when_refinement_narrows_it() {
    let (_, open) = run(Steady::new(Refinement::AtMost(1)), latents(3));
    // Between the changes of the images: some are refined, some are not.
    let mut changes: Vec<_> = open[2].iter().map(|trace| trace.first().terms[1].value).collect();
    changes.sort_by(f32::total_cmp);
    let bound = f32::midpoint(changes[1], changes[2]);
    let objective = Steady { bound, ..Steady::new(Refinement::AtMost(3)) };
    let (together, traces) = run(objective.clone(), latents(3));
    let updates: Vec<_> = traces[2].iter().map(GuidanceTrace::refinement_steps).collect();
    assert!(updates.contains(&0) && updates.iter().any(|&updates| updates > 0), "{updates:?}");
    for (image, latents) in latents(3).split(1, 0).into_iter().enumerate() {
        let (alone, trace) = run(objective.clone(), latents);
        // Another image's state would differ by more than a hundredth.
        for (a, b) in values(alone).iter().zip(values(together.clone().narrow(0, image, 1))) {
            assert!((a - b).abs() < 1e-4, "image {image}: {a} {b}");
        }
        for (alone, together) in trace.iter().zip(&traces).filter(|(alone, _)| !alone.is_empty()) {
            assert_eq!(alone[0].refinement_steps(), together[image].refinement_steps());
            for (alone, together) in alone[0].evaluations.iter().zip(&together[image].evaluations) {
                assert!(alone.values().zip(together.values()).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0)));
            }
        }
    }
}

#[test]
fn a_new_run_begins_without_state() {
    let once = run(Steady::new(Refinement::AtMost(2)), latents(2));
    let again = run(Steady::new(Refinement::AtMost(2)), latents(2));
    assert_eq!((values(once.0), once.1), (values(again.0), again.1));
}

#[test]
fn exactly_means_satisfied_or_not_and_at_most_stops() {
    let satisfied = |refinement| Steady { bound: f32::MAX, ..Steady::new(refinement) };
    for (refinement, expected) in [(Refinement::Exactly(3), 3), (Refinement::AtMost(3), 0), (Refinement::Exactly(0), 0)]
    {
        let (_, traces) = run(satisfied(refinement), latents(1));
        assert_eq!(traces[2][0].refinement_steps(), expected, "{refinement:?}");
    }
}

#[test]
fn a_refinement_until_satisfied_is_ended_by_the_observer() {
    let mut guidance = Guidance::new(Arc::new(Steady::new(Refinement::UntilSatisfied))).unwrap();
    let mut heard = 0;
    let observe: &mut Observer<'_> = &mut |_| {
        heard += 1;
        if heard == 30 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let result = guidance.guide(&toy, latents(1), DenoisingStep::new(2, 5, 500.0), observe);
    assert_eq!((result.unwrap_err(), heard), (GuidanceError::Interrupted, 30));
}

/// A loss of its own in refinements, another for the update, or none that depends on the latents.
#[derive(Clone, Debug)]
struct Sums {
    constant: bool,
    /// Claims that the gradient is zero, which it is not.
    zero: bool,
    refinement: Vec<(usize, Refinement)>,
}

impl Objective for Sums {
    fn maps(&self) -> Vec<MapSet> {
        vec![MapSet::cross([SIDE, SIDE])]
    }

    fn plan(&self) -> Plan {
        Plan::new(0..5, StepSize::Constant(1.0)).with_refinement(self.refinement.clone())
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let token = |token| pass.maps[0][0].clone().narrow(3, token, 1).sum_dim(2).squeeze_dims::<2>(&[2, 3]);
        let (update, refinement) = (token(1), token(3));
        let images = update.dims()[0];
        let terms = Tensor::cat(vec![update.clone(), refinement.clone()], 1);
        let names = ["update", "refinement"].map(str::to_owned).into();
        if self.constant {
            return Ok(Score::new(Tensor::zeros([images], &Device::flex()), names, terms));
        }
        let loss = |column: Tensor<2>| column.reshape([images]);
        Ok(Score::new(loss(update), names, terms).with_refinement_loss(loss(refinement)))
    }

    /// Images with little of the first token.
    fn is_satisfied(&self, _: usize, losses: &Losses) -> bool {
        losses.terms[0].value < 3.2
    }

    fn has_zero_gradient(&self, _: &Losses) -> bool {
        self.zero
    }
}

#[test]
fn refined_images_follow_the_loss_of_refinements_and_others_that_of_the_update() {
    let sums = Sums { constant: false, zero: false, refinement: Vec::new() };
    let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
    let step = DenoisingStep::new(0, 5, 500.0);
    let guide = |objective: Sums, latents: Tensor<4>, observe: &mut Observer<'_>| {
        let mut guidance = Guidance::new(Arc::new(objective)).unwrap();
        let guided = guidance.guide(&toy, latents, step, observe).unwrap();
        (guided.latents(), guided.read_traces(observe).unwrap())
    };
    let (_, traces) = guide(sums.clone(), latents(4), observe);
    let satisfied: Vec<_> = traces.iter().map(|trace| trace.first().satisfied).collect();
    assert!(satisfied.contains(&true) && satisfied.contains(&false), "{traces:?}");

    let once = Sums { refinement: vec![(0, Refinement::AtMost(1))], ..sums.clone() };
    let (moved, _) = guide(once, latents(4), observe);
    // By hand: the gradient of either loss at the first latents, and that of the update at the refined ones.
    let gradient = |latents: &Tensor<4>, token: usize| {
        let tracked = latents.clone().autodiff().require_grad();
        let maps = toy(tracked.clone(), &[MapSet::cross([SIDE, SIDE])]).remove(0).remove(0);
        tracked.grad(&maps.narrow(3, token, 1).sum().backward()).unwrap()
    };
    for (image, satisfied) in satisfied.into_iter().enumerate() {
        let before = latents(4).narrow(0, image, 1);
        let refined = if satisfied { before } else { before.clone() - gradient(&before, 3) };
        let expected = refined.clone() - gradient(&refined, 1);
        for (a, b) in values(moved.clone().narrow(0, image, 1)).iter().zip(values(expected)) {
            assert!((a - b).abs() < 1e-6, "image {image}: {a} {b}");
        }
    }
}

#[test]
fn a_gradient_that_is_said_to_be_zero_is_not_computed_where_the_loss_is_known() {
    let step = DenoisingStep::new(0, 5, 500.0);
    let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
    for (refinement, zero, moves) in [
        (vec![(0, Refinement::AtMost(2))], true, false),
        (vec![(0, Refinement::AtMost(2))], false, true),
        (vec![], true, true),
    ] {
        let objective = Sums { constant: false, zero, refinement };
        let start = latents(4).narrow(0, satisfied_image(), 1);
        let guided = Guidance::new(Arc::new(objective)).unwrap().guide(&toy, start.clone(), step, observe).unwrap();
        assert_eq!(values(guided.latents()) != values(start), moves);
        assert_eq!(guided.gradient().is_some(), moves);
        assert_eq!(guided.read_traces(observe).unwrap()[0].refinement_steps(), 0);
    }
}

/// An image of [`latents`] that satisfies [`Sums`].
fn satisfied_image() -> usize {
    let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
    let mut guidance = Guidance::new(Arc::new(Sums { constant: false, zero: false, refinement: Vec::new() })).unwrap();
    let guided = guidance.guide(&toy, latents(4), DenoisingStep::new(0, 5, 500.0), observe).unwrap();
    let traces = guided.read_traces(observe).unwrap();
    traces.iter().position(|trace| trace.first().satisfied).expect("one of them is")
}

#[test]
fn a_loss_that_does_not_depend_on_the_latents_leaves_them_alone() {
    for refinement in [Vec::new(), vec![(0, Refinement::Exactly(2))]] {
        let objective = Sums { constant: true, zero: false, refinement };
        let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
        let mut guidance = Guidance::new(Arc::new(objective)).unwrap();
        let guided = guidance.guide(&toy, latents(2), DenoisingStep::new(0, 5, 500.0), observe).unwrap();
        assert_eq!(values(guided.latents()), values(latents(2)));
    }
}

/// The weighted sum of two objectives, by the plan of the first.
#[derive(Debug)]
struct Sum(f64, Box<dyn Objective>, Box<dyn Objective>);

impl Objective for Sum {
    fn maps(&self) -> Vec<MapSet> {
        let Self(_, first, second) = self;
        first.maps().into_iter().chain(second.maps()).collect()
    }

    fn plan(&self) -> Plan {
        self.1.plan()
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let Self(weight, first, second) = self;
        let (split, sets) = (first.maps().len(), pass.maps.len());
        let first = first.evaluate(&mut pass.part(0..split, "first"))?;
        let second = second.evaluate(&mut pass.part(split..sets, "second"))?;
        let names: Vec<_> = first.names.iter().chain(second.names.iter()).cloned().collect();
        let terms = Tensor::cat(vec![first.terms, second.terms], 1);
        Ok(Score::new(first.loss + second.loss * *weight, names.into(), terms))
    }

    fn is_satisfied(&self, step: usize, losses: &Losses) -> bool {
        let own = |terms: &[Term]| Losses::new(losses.loss, terms.to_vec());
        self.1.is_satisfied(step, &own(&losses.terms[..3])) && self.2.is_satisfied(step, &own(&losses.terms[3..]))
    }
}

#[test]
fn objectives_can_be_added_up() {
    let parts = || (Steady::new(Refinement::Exactly(1)), Steady { token: 3, ..Steady::new(Refinement::Exactly(1)) });
    let (first, second) = parts();
    let (_, traces) = run(Sum(2.0, Box::new(first), Box::new(second)), latents(2));
    let losses = traces[1][0].first();
    let names: Vec<_> = losses.terms.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["region", "change", "drift", "region", "change", "drift"]);
    // What each says alone at the first step, where both see the same latents.
    let (first, second) = parts();
    let alone = [run(first, latents(2)).1, run(second, latents(2)).1].map(|traces| traces[1][0].first().loss);
    assert!((losses.loss - (alone[0] + 2.0 * alone[1])).abs() < 1e-4, "{losses:?} {alone:?}");
    // Each has a state of its own: at its first evaluation there is no average yet, from which it could drift.
    assert!(losses.terms[2].value.abs() < f32::EPSILON && losses.terms[5].value.abs() < f32::EPSILON, "{losses:?}");
}

/// A different objective before and after a step.
#[derive(Debug)]
struct Switch {
    at: usize,
    before: AttendAndExcite,
    after: Steady,
}

impl Objective for Switch {
    fn maps(&self) -> Vec<MapSet> {
        self.after.maps()
    }

    fn plan(&self) -> Plan {
        Plan::new(0..4, StepSize::Linear { from: 1.0, to: 0.5 })
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        if pass.step.index < self.at { self.before.evaluate(pass) } else { self.after.evaluate(pass) }
    }

    fn is_satisfied(&self, _: usize, _: &Losses) -> bool {
        true
    }
}

#[test]
fn objectives_can_follow_each_other() {
    let subjects =
        Subjects::new(vec![vec![1], vec![3]], TOKENS, None).unwrap().with_names(vec!["cat".into(), "dog".into()]);
    let settings = GuidanceSettings { attention_scale: 4.0, ..GuidanceSettings::default() };
    let before = AttendAndExcite::new(settings, subjects, [SIDE, SIDE]).unwrap();
    let (_, traces) = run(Switch { at: 2, before, after: Steady::new(Refinement::AtMost(1)) }, latents(2));
    let names = |step: usize| traces[step][1].first().terms.iter().map(|term| term.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(1), names(2)),
        (vec!["cat".into(), "dog".into()], vec!["region".into(), "change".into(), "drift".into()])
    );
}

/// The model runs for exactly the images that need it.
#[test]
fn no_pass_is_made_for_images_that_are_done() {
    let batches = RefCell::new(Vec::new());
    let counting = |latents: Tensor<4>, sets: &[MapSet]| {
        batches.borrow_mut().push(latents.dims()[0]);
        toy(latents, sets)
    };
    let sums = Sums { constant: false, zero: false, refinement: vec![(0, Refinement::AtMost(2))] };
    let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
    let mut guidance = Guidance::new(Arc::new(sums)).unwrap();
    let guided = guidance.guide(&counting, latents(4), DenoisingStep::new(0, 5, 500.0), observe).unwrap();
    let traces = guided.read_traces(observe).unwrap();
    let count = |more: usize| traces.iter().filter(|trace| trace.refinement_steps() > more).count();
    let expected: Vec<_> = [4, count(1), count(0)].into_iter().filter(|&count| count > 0).collect();
    assert_eq!(*batches.borrow(), expected);
}
