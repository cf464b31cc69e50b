//! Measurements of the whole program: beside the reference, with and without guidance, in batches, stage by stage.

mod engines;
mod measured;
mod report;
mod runs;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::failure::Failure;
use crate::process::{run as run_program, workspace_cargo, workspace_root};
use crate::python;
use engines::Engine;
use measured::Measured;
use report::{bytes, compared, median, ratio, seconds};
use runs::{ATTEND_AND_EXCITE, METHODS, Run, STABLE_DIFFUSION};

/// Measure time and memory, and print tables for docs/performance.md
///
/// What is compared is run by turns, in one go: compare ratios, not seconds of different runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,
    /// The Python that has torch and diffusers for `reference`, and openvino for `engines`
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Where models of the real size are, or will be [default: target/full-models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// How often everything is run
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads of either program
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The embedded model beside diffusers, whole pictures
    ReferenceSmall,
    /// Stable Diffusion 1 at 512x512 beside diffusers, single denoising steps
    Reference,
    /// What guidance costs, with the embedded model
    GuidanceSmall,
    /// What guidance costs, with Stable Diffusion 1 at 512x512: whole pictures, half an hour a round
    Guidance,
    /// Pictures drawn together, with the embedded model
    Batches,
    /// Every stage beside what the matrix product allows, by size and batch
    Stages,
    /// One noise prediction of Stable Diffusion 1 at 512x512 with two texts beside torch and OpenVINO (`pip install openvino`),
    /// all of which predict the same
    Engines,
}

impl What {
    /// All that take minutes.
    const USUAL: [Self; 5] = [Self::ReferenceSmall, Self::Reference, Self::GuidanceSmall, Self::Batches, Self::Stages];
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let only = if arguments.only.is_empty() { &What::USUAL[..] } else { &arguments.only };
    let bench = Bench {
        python: &arguments.python,
        models: arguments.models.clone().unwrap_or_else(|| workspace_root().join("target/full-models")),
        rounds: arguments.rounds.max(1),
        threads: arguments.threads.max(1),
    };
    bench.prepare(only)?;
    for what in only {
        match what {
            What::ReferenceSmall => bench.reference_small()?,
            What::Reference => bench.reference()?,
            What::GuidanceSmall => bench.guidance("embedded model", &Run::embedded(), bench.rounds)?,
            What::Guidance => bench.guidance("Stable Diffusion 1, 512x512", &bench.full(), bench.rounds)?,
            What::Batches => bench.batches()?,
            What::Stages => bench.stages()?,
            What::Engines => bench.engines()?,
        }
    }
    Ok(())
}

struct Bench<'a> {
    python: &'a Path,
    models: PathBuf,
    rounds: usize,
    threads: usize,
}

impl Bench<'_> {
    /// Builds what will be measured.
    fn prepare(&self, only: &[What]) -> Result<(), Failure> {
        run_program(workspace_cargo().args(["build", "--release", "--package", "ae-cli"]))?;
        let needs = |what: &[What]| only.iter().any(|one| what.contains(one));
        if needs(&[What::Reference, What::ReferenceSmall]) {
            python::check(self.python)?;
        }
        if needs(&[What::Engines]) {
            python::check_for(self.python, &["torch", "diffusers", "safetensors", "openvino"])?;
        }
        if needs(&[What::Reference, What::Guidance, What::Stages, What::Engines]) && !self.full_model().exists() {
            python::check(self.python)?;
            run_program(python::script(self.python, "make_full.py").arg(&self.models).arg("sd1/folder"))?;
        }
        Ok(())
    }

    fn full_model(&self) -> PathBuf {
        self.models.join("sd1/folder")
    }

    fn full(&self) -> Run {
        Run { model: Some(self.full_model()), prompt: "a cat and a dog", token_indices: "2,5", ..Run::embedded() }
    }

    /// Single steps: the first two are guided, the others not, and of either the last counts.
    fn reference(&self) -> Result<(), Failure> {
        let run = Run { steps: Some(3), max_iter_to_alter: 2, thresholds: "none", ..self.full() };
        let [mut ours, mut theirs] = [(); 2].map(|()| [Vec::new(), Vec::new()]);
        for _ in 0..self.rounds {
            for (index, method) in METHODS.into_iter().enumerate() {
                ours[index].push(run.ours(method, self.threads)?);
                theirs[index].push(run.reference(method, self.python, &self.full_model(), self.threads)?);
            }
        }
        let guided_step = |measured: &Measured| measured.steps[1];
        let last_step = |measured: &Measured| measured.steps[measured.steps.len() - 1];
        println!(
            "\n### Stable Diffusion 1, 512x512, beside diffusers ({} threads, median of {})\n",
            self.threads, self.rounds
        );
        report::head(["", "ours", "diffusers", "ratio"]);
        let step = |name: &str, index: usize, of: fn(&Measured) -> f64, reference: usize| {
            compared(name, [&ours[index], &theirs[reference]], of, seconds);
        };
        step("guided step", 0, guided_step, 0);
        step("unguided step, against the same pipeline", 0, last_step, 0);
        step("unguided step, against StableDiffusionPipeline", 1, last_step, 1);
        for (index, method) in METHODS.into_iter().enumerate() {
            let peak = |measured: &Measured| measured.peak as f64;
            compared(&format!("peak memory, {method}"), [&ours[index], &theirs[index]], peak, bytes);
        }
        Ok(())
    }

    /// Whole pictures. Ours is the whole process, the reference the call of the pipeline alone.
    fn reference_small(&self) -> Result<(), Failure> {
        let run = Run { thresholds: "none", ..Run::embedded() };
        let model = workspace_root().join("assets/sprites");
        println!(
            "\n### Embedded model, 50 steps, beside diffusers ({} threads, median of {})\n",
            self.threads, self.rounds
        );
        report::head(["", "ours", "diffusers", "ratio"]);
        for method in METHODS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                ours.push(run.ours(method, self.threads)?);
                theirs.push(run.reference(method, self.python, &model, self.threads)?);
            }
            let both = [ours.as_slice(), theirs.as_slice()];
            compared(&format!("picture, {method}"), both, |measured| measured.seconds, seconds);
            compared(&format!("peak memory, {method}"), both, |measured| measured.peak as f64, bytes);
        }
        Ok(())
    }

    /// Plain, guided, and guided with the paper's refinement, from the first denoising step to the picture.
    fn guidance(&self, name: &str, run: &Run, rounds: usize) -> Result<(), Failure> {
        let guided = Run { thresholds: "none", ..run.clone() };
        let [mut plain, mut without, mut with] = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            plain.push(run.ours(STABLE_DIFFUSION, self.threads)?);
            without.push(guided.ours(ATTEND_AND_EXCITE, self.threads)?);
            with.push(run.ours(ATTEND_AND_EXCITE, self.threads)?);
        }
        println!("\n### What guidance costs: {name}, 50 steps ({} threads, median of {rounds})\n", self.threads);
        report::head(["", "seconds of a picture", "to plain", "peak memory", "to plain", "refinement updates"]);
        let seconds_of = |measured: &[Measured]| median(measured, |measured| measured.seconds);
        let peak_of = |measured: &[Measured]| median(measured, |measured| measured.peak as f64);
        for (name, measured) in [("plain", &plain), ("guided", &without), ("guided, with refinement", &with)] {
            report::row([
                name,
                &seconds(seconds_of(measured)),
                &ratio(seconds_of(measured), seconds_of(&plain)),
                &bytes(peak_of(measured)),
                &ratio(peak_of(measured), peak_of(&plain)),
                &measured[0].refinement_updates.to_string(),
            ]);
        }
        Ok(())
    }

    /// Eight pictures, so many at a time.
    fn batches(&self) -> Result<(), Failure> {
        const SIZES: [usize; 4] = [1, 2, 4, 8];
        let mut measured = SIZES.map(|_| METHODS.map(|_| Vec::new()));
        for _ in 0..self.rounds {
            for (size, measured) in SIZES.into_iter().zip(&mut measured) {
                for (method, measured) in METHODS.into_iter().zip(measured) {
                    let run = Run { seeds: "0-7", batch_size: size, ..Run::embedded() };
                    measured.push(run.ours(method, self.threads)?);
                }
            }
        }
        println!(
            "\n### Eight pictures of the embedded model, 50 steps, with refinement ({} threads, median of {})\n",
            self.threads, self.rounds
        );
        report::head([
            "at a time",
            "guided, seconds",
            "to one at a time",
            "plain, seconds",
            "to one at a time",
            "refinement updates",
        ]);
        let seconds_of = |measured: &[Measured]| median(measured, |measured| measured.seconds);
        for (size, [guided, plain]) in SIZES.into_iter().zip(&measured) {
            report::row([
                &size.to_string(),
                &seconds(seconds_of(guided)),
                &ratio(seconds_of(guided), seconds_of(&measured[0][0])),
                &seconds(seconds_of(plain)),
                &ratio(seconds_of(plain), seconds_of(&measured[0][1])),
                &guided[0].refinement_updates.to_string(),
            ]);
        }
        Ok(())
    }

    /// Single predictions of three engines that take turns; all of them stay in memory.
    fn engines(&self) -> Result<(), Failure> {
        let case = workspace_root().join("target/bench/engines.safetensors");
        let folder = case.parent().expect("a folder");
        std::fs::create_dir_all(folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        let model = self.full_model().canonicalize().map_err(|error| Failure::new(format!("{error}")))?;
        let of_python = |engine| {
            let mut command = python::script(self.python, "measure_engines.py");
            command.arg(engine);
            command.arg(&model).arg(&case).args(["--threads", &self.threads.to_string()]);
            Engine::start(engine, &mut command)
        };
        // torch writes the case.
        let torch = of_python("torch")?;
        let mut ours = workspace_cargo();
        ours.args(["bench", "--quiet", "--bench", "step", "--"]).arg(&model).arg(&case);
        let ours = Engine::start("ours", ours.env("RAYON_NUM_THREADS", self.threads.to_string()))?;
        let mut engines = [ours, of_python("openvino")?, torch];
        let mut measured = [const { Vec::new() }; 3];
        for _ in 0..self.rounds {
            for (engine, measured) in engines.iter_mut().zip(&mut measured) {
                measured.push(engine.predict()?);
            }
        }
        println!(
            "\n### One noise prediction, two texts, Stable Diffusion 1, 512x512 ({}, {} threads, median of {})\n",
            report::processor(),
            self.threads,
            self.rounds
        );
        report::head(["", "seconds", "ours to it", "peak memory", "ours to it", "off torch's by"]);
        let of = |measured: &[Measured]| (median(measured, |one| one.seconds), median(measured, |one| one.peak as f64));
        let (own_time, own_peak) = of(&measured[0]);
        for (engine, measured) in engines.iter().zip(&measured) {
            let (time, peak) = of(measured);
            let difference = format!("{:.1e}", engine.difference);
            report::row([
                engine.name,
                &seconds(time),
                &ratio(own_time, time),
                &bytes(peak),
                &ratio(own_peak, peak),
                &difference,
            ]);
        }
        Ok(())
    }

    fn stages(&self) -> Result<(), Failure> {
        let model = self.full_model().canonicalize().map_err(|error| Failure::new(format!("{error}")))?;
        for (name, model, sizes, smallest) in [
            ("embedded model", None, "128,256,512", "128"),
            ("Stable Diffusion 1", Some(&model), "256,512,768,1024", "256"),
        ] {
            for (sizes, batches) in [(sizes, "1"), (smallest, "2,4")] {
                println!("\n### Stages: {name}, {sizes} pixels, batches of {batches}\n");
                let mut bench = workspace_cargo();
                // Without --package, as the tests: another choice of packages would build burn anew.
                bench.args(["bench", "--bench", "stages", "--"]);
                bench.args(model).args(["--size", sizes, "--batch", batches]);
                run_program(bench.env("RAYON_NUM_THREADS", self.threads.to_string()))?;
            }
        }
        Ok(())
    }
}
