//! Objectives of a caller's own in the pipeline, against Attend-and-Excite and against themselves.

use std::ops::ControlFlow;
use std::sync::Arc;

use ae_guidance::{
    AttendAndExcite, GuidanceError, GuidanceSettings, Layers, Losses, MapKind, MapSet, Pass, Plan, Refinement, Score,
    StepSize, Subjects,
};
use ae_pipeline::{
    Input, Method, ModelSource, Objective, ObjectiveFactory, ObjectiveInputs, ObjectiveSetup, Output, OwnObjective,
    Pipeline, PipelineError, Request, SubjectChoice,
};
use ae_tensor::FloatType;
use ae_tests::{device, largest_difference, sprites};
use burn::tensor::Tensor;

fn pipeline() -> Pipeline {
    Pipeline::load(&ModelSource::folder(sprites()), FloatType::F32, &device()).unwrap()
}

fn request(pipeline: &Pipeline, inputs: ObjectiveInputs, objective: impl ObjectiveFactory + 'static) -> Request {
    let mut request = pipeline.request("a lion and a red car");
    request.objective = Some(OwnObjective { inputs, factory: Arc::new(objective) });
    request.settings.steps = 6;
    request
}

fn draw(pipeline: &Pipeline, request: &Request) -> Output {
    pipeline.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// What a subject attends to must attend to the subject, and must not change from step to step.
#[derive(Clone, Copy, Debug)]
struct Regions;

#[derive(Debug)]
struct RegionsOf {
    tokens: Vec<usize>,
    resolution: [usize; 2],
    cross: MapSet,
}

impl ObjectiveFactory for Regions {
    fn name(&self) -> &'static str {
        "regions"
    }

    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError> {
        // The cross-attention by name, the self-attention by resolution.
        let cross = MapSet::new(MapKind::Cross, Layers::Named(vec!["up_blocks.1.*".to_owned()]));
        let tokens = setup.subjects.iter().flat_map(|subject| subject.positions.clone()).collect();
        Ok(Arc::new(RegionsOf { tokens, resolution: setup.resolution_of(&cross)?, cross }))
    }
}

impl Objective for RegionsOf {
    fn maps(&self) -> Vec<MapSet> {
        vec![self.cross.clone(), MapSet::self_attention(self.resolution)]
    }

    fn plan(&self) -> Plan {
        Plan::new(0..4, StepSize::Linear { from: 20.0, to: 5.0 }).with_refinement([(2, Refinement::AtMost(3))])
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let cross = pass.aggregate(0, self.resolution);
        let images = cross.dims()[0];
        let patches = self.resolution[0] * self.resolution[1];
        let among = pass.aggregate(1, self.resolution).reshape([images, patches, patches]);
        let maps = self.tokens.iter().map(|&token| cross.clone().narrow(3, token, 1).reshape([images, patches, 1]));
        let maps = Tensor::cat(maps.collect(), 2);
        let total = |maps: Tensor<3>| maps.sum_dim(2).sum_dim(1).reshape([images, 1]);
        let region = -total(among.matmul(maps.clone()) * maps.clone());
        let current = maps.clone().reshape([images, self.tokens.len(), self.resolution[0], self.resolution[1]]);
        let change = match pass.state.previous_step("maps") {
            Some(before) => total((maps - before.reshape([images, patches, self.tokens.len()])).powi_scalar(2)),
            None => region.zeros_like(),
        };
        pass.state.set("maps", current);
        let loss = (region.clone() + change.clone()).reshape([images]);
        let names = ["region", "change"].map(str::to_owned).into();
        Ok(Score::new(loss, names, Tensor::cat(vec![region, change], 1)))
    }

    fn is_satisfied(&self, _: usize, losses: &Losses) -> bool {
        losses.loss < -1000.0
    }
}

#[test]
fn an_objective_with_self_attention_negative_losses_and_state_guides_pictures() {
    let pipeline = pipeline();
    let guided = request(&pipeline, ObjectiveInputs::default(), Regions).with(|request| request.seeds = vec![3, 8]);
    let output = draw(&pipeline, &guided);
    let plain = guided.clone().with(|request| {
        request.objective = None;
        request.settings.method = Method::StableDiffusion;
    });
    let plain = draw(&pipeline, &plain);
    for (index, (picture, plain)) in output.pictures.iter().zip(&plain.pictures).enumerate() {
        let guidance: Vec<_> = picture.trace.steps.iter().map(|step| step.guidance.as_ref()).collect();
        assert_eq!(guidance.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, true, false, false]);
        for (step, guidance) in guidance.iter().flatten().enumerate() {
            assert_eq!(guidance.refinement_steps(), if step == 2 { 3 } else { 0 });
            for losses in &guidance.evaluations {
                assert!(losses.loss < 0.0, "step {step}: {losses:?}");
                assert_eq!(losses.terms[1].value > 0.0, step > 0, "step {step}: {losses:?}");
                assert!(losses.terms.iter().map(|term| term.name.as_str()).eq(["region", "change"]));
            }
        }
        let refined = guidance[2].unwrap();
        assert!(refined.last().loss < refined.first().loss, "{refined:?}");
        assert_ne!(picture.image, plain.image, "guidance must show");
        // The state of a batch is that of its images.
        let alone = draw(&pipeline, &guided.clone().with(|request| request.seeds = vec![picture.seed]));
        assert!(largest_difference(&alone.pictures[0].image, &picture.image) <= 2, "image {index}");
    }
}

/// Nothing of a run is left to the next, also where it was interrupted.
#[test]
fn an_interrupted_picture_is_drawn_anew_as_if_it_had_not_been() {
    let pipeline = pipeline();
    let request = request(&pipeline, ObjectiveInputs::default(), Regions);
    let whole = draw(&pipeline, &request);
    let mut evaluations = 0;
    let interrupted = pipeline.generate(&request, &mut |event| {
        evaluations += usize::from(matches!(event, ae_pipeline::Event::Evaluated { .. }));
        if evaluations == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(interrupted, Err(PipelineError::Interrupted)));
    let again = draw(&pipeline, &request);
    assert_eq!(again.pictures[0].image, whole.pictures[0].image);
    let guidance =
        |output: &Output| output.pictures[0].trace.steps.iter().map(|step| step.guidance.clone()).collect::<Vec<_>>();
    assert_eq!(guidance(&again), guidance(&whole));
}

/// Attend-and-Excite as a caller would write it.
#[derive(Debug)]
struct Own(GuidanceSettings);

impl ObjectiveFactory for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError> {
        let positions = setup.subjects.iter().map(|subject| subject.positions.clone()).collect();
        let subjects = Subjects::new(positions, setup.tokens, None)?;
        let names = setup.subjects.iter().map(|subject| subject.text.clone()).collect();
        Ok(Arc::new(AttendAndExcite::new(self.0.clone(), subjects.with_names(names), setup.resolution)?))
    }
}

#[test]
fn attend_and_excite_takes_the_path_of_any_objective() {
    let pipeline = pipeline();
    let defaults = pipeline.request("").settings.attend_and_excite;
    // The paper's end and the model's thresholds, shares of six steps.
    let settings = GuidanceSettings {
        max_iter_to_alter: 3,
        thresholds: [(0, 0.05), (1, 0.2), (2, 0.25)].into(),
        scale_factor: defaults.scale_factor,
        attention_scale: defaults.attention_scale,
        ..GuidanceSettings::default()
    };
    let own = request(&pipeline, SubjectChoice::Auto.into(), Own(settings));
    let built_in = own.clone().with(|request| request.objective = None);
    let (own, built_in) = (draw(&pipeline, &own), draw(&pipeline, &built_in));
    assert!(own.pictures[0].image == built_in.pictures[0].image);
    assert_eq!(own.pictures[0].trace.subjects, built_in.pictures[0].trace.subjects);
    let guidance = |output: &Output| output.pictures[0].trace.steps[0].guidance.clone().unwrap();
    assert_eq!(guidance(&own), guidance(&built_in));
    let names: Vec<_> = guidance(&own).first().terms.iter().map(|term| term.name.clone()).collect();
    assert_eq!(names, ["lion", "car"]);
}

/// Is told everything, and says with what it was built.
#[derive(Debug)]
struct Everything(&'static [Input]);

impl ObjectiveFactory for Everything {
    fn name(&self) -> &'static str {
        "everything"
    }

    fn inputs(&self) -> &'static [Input] {
        self.0
    }

    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError> {
        let value = format!("{:?} {:?} {}", setup.pairs, setup.groups, setup.boxes.len());
        Err(PipelineError::Option { option: "told", value, expected: "a test".to_owned() })
    }
}

/// A change of the inputs, what is declared, and the refusal.
type Case<'a> = (&'a dyn Fn(&mut ObjectiveInputs), &'static [Input], &'a str);

#[test]
fn an_objective_is_told_what_it_declares_and_nothing_else() {
    const ALL: &[Input] = &[Input::Subjects, Input::Pairs, Input::Groups, Input::Boxes];
    let pipeline = pipeline();
    let told = |change: &dyn Fn(&mut ObjectiveInputs), inputs| {
        let mut given = ObjectiveInputs::default();
        change(&mut given);
        pipeline.prepare(&request(&pipeline, given, Everything(inputs))).unwrap_err().to_string()
    };
    let pairs = |inputs: &mut ObjectiveInputs| inputs.pairs = Some(vec!["red:car".parse().unwrap()]);
    let boxes = |inputs: &mut ObjectiveInputs| {
        inputs.boxes = ["lion:0,0,0.5,1", "car:0.5,0,1,1"].map(|place| place.parse().unwrap()).to_vec();
    };
    let groups = |inputs: &mut ObjectiveInputs| inputs.groups = Some(vec!["red car".parse().unwrap()]);
    let cases: [Case<'_>; 9] = [
        (&|_| (), ALL, "\"red\", positions: [5] }, Subject { text: \"car\""),
        (&|_| (), ALL, " 2: expected a test"),
        (&groups, ALL, " 1: expected a test"),
        (&pairs, &[Input::Subjects], "pairs is given: expected nothing, which is what 'everything' takes"),
        (&|inputs| inputs.subjects = SubjectChoice::Words(vec!["lion".into()]), &[], "subjects is given"),
        (
            &|inputs| {
                boxes(inputs);
                inputs.boxes.truncate(1);
                inputs.subjects = SubjectChoice::Words(vec!["lion".into(), "car".into()]);
            },
            ALL,
            "boxes is missing: expected one for the subject 'car' too",
        ),
        (&|inputs| (boxes(inputs), inputs.boxes[1].subject = "red".into()).0, ALL, " 2: expected a test"),
        (&|inputs| (boxes(inputs), inputs.boxes[0].place.left = 0.7).0, ALL, "boxes is lion:0.7,0,0.5,1"),
        (&|inputs| inputs.pairs = Some(vec!["blue:car".parse().unwrap()]), ALL, "'blue' is not in the prompt"),
    ];
    for (change, inputs, expected) in cases {
        let message = told(change, inputs);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn an_objective_needs_a_prompt_that_is_read_as_a_whole() {
    let pipeline = pipeline();
    let request = request(&pipeline, ObjectiveInputs::default(), Regions)
        .with(|request| request.settings.method = Method::ComposableDiffusion);
    let message = pipeline.prepare(&request).unwrap_err().to_string();
    assert!(message.starts_with("method is composable-diffusion: expected another"), "{message}");
}
