//! The sampler, its schedule, and what it starts from.

use super::graph::{Graph, Node};
use crate::a1111::sampler::{differences, has_sigmas};
use crate::{Overrides, SchedulerKind, SigmaSpacing, TimestepSpacing};

/// The timesteps of the models.
const TRAINED: usize = 1000;

/// Reads seed, steps, scale, sampler and schedule of a `KSampler` or `KSamplerAdvanced`.
pub(super) fn read<'a>(graph: &mut Graph<'a>, node: Node<'a>, read: &mut Overrides) {
    let is_advanced = node.class == "KSamplerAdvanced";
    read.seed = graph.number(node, if is_advanced { "noise_seed" } else { "seed" }, &["seed"]);
    read.steps = graph.number(node, "steps", &["steps"]);
    read.guidance_scale = graph.number(node, "cfg", &["guidance_scale"]);
    if is_advanced {
        window(graph, node, read.steps.unwrap_or(usize::MAX));
    }
    let Some(name) = graph.text(node, "sampler_name", &["scheduler"]) else { return };
    let kind = match name.as_str() {
        // `comfy/samplers.py`: Euler, with another inpainting.
        "ddim" => SchedulerKind::Euler,
        name => match name.parse::<SchedulerKind>() {
            Ok(kind) => kind,
            Err(error) => {
                let reason = error.reason.unwrap_or("there is no such sampler");
                let reason = format!("{reason}; choose one of {}", error.expected);
                graph.refuse(&format!("{} sampler_name", node.class), name, reason, &["scheduler"]);
                return;
            }
        },
    };
    read.scheduler = Some(kind);
    let schedule = graph.text(node, "scheduler", &["sigmas", "timestep_spacing"]);
    let spread = schedule.as_deref().map(|name| spread(name, read.steps.unwrap_or(1)));
    match (schedule, spread) {
        (_, Some(Ok((spacing, sigmas)))) => {
            read.timestep_spacing = kind.has_timestep_spacing().then_some(spacing);
            read.sigmas = has_sigmas(kind).then_some(sigmas);
        }
        (Some(name), Some(Err(reason))) => {
            graph.refuse(&format!("{} scheduler", node.class), &name, reason, &["sigmas", "timestep_spacing"]);
        }
        _ => {}
    }
    let differences = differences(Some(kind), read.sigmas);
    if differences.is_empty() && kind.draws_noise(0.0) {
        let reason = format!(
            "its noise between the steps comes from a generator of its own; choose the scheduler {kind} for other noise"
        );
        graph.refuse(&format!("{} sampler_name", node.class), &name, reason, &["scheduler"]);
    }
    for difference in differences {
        graph.refuse(&difference.name, &difference.value, difference.reason, difference.settled_by);
    }
}

/// The timesteps and noise levels of a schedule (`SCHEDULER_HANDLERS`).
fn spread(name: &str, steps: usize) -> Result<(TimestepSpacing, SigmaSpacing), &'static str> {
    let divides = steps > 0 && TRAINED.is_multiple_of(steps);
    Ok(match name {
        "normal" => (TimestepSpacing::Linspace, SigmaSpacing::Normal),
        "karras" => (TimestepSpacing::Linspace, SigmaSpacing::Karras),
        "exponential" => (TimestepSpacing::Linspace, SigmaSpacing::Exponential),
        "simple" if divides => (TimestepSpacing::Trailing, SigmaSpacing::Normal),
        "ddim_uniform" if divides => (TimestepSpacing::Leading, SigmaSpacing::Normal),
        "simple" | "ddim_uniform" => {
            return Err("its timesteps are rounded otherwise there, unless 1000 is a multiple of the steps");
        }
        "beta" => {
            return Err(
                "it spreads the timesteps there; choose the sigmas beta to spread the noise levels, as diffusers does",
            );
        }
        _ => return Err("there is no such schedule; normal, karras, exponential, simple and ddim_uniform are known"),
    })
}

/// A sampler that takes some of the steps alone.
fn window<'a>(graph: &mut Graph<'a>, node: Node<'a>, steps: usize) {
    let first: Option<u64> = graph.number(node, "start_at_step", &[]);
    let last: Option<u64> = graph.number(node, "end_at_step", &[]);
    if first.is_some_and(|first| first > 0) {
        let reason = "the picture was begun by another sampler";
        graph.refuse("KSamplerAdvanced start_at_step", &first.unwrap_or_default().to_string(), reason, &[]);
    }
    if last.is_some_and(|last| last < steps as u64) {
        let reason = "the last steps were not taken";
        graph.refuse("KSamplerAdvanced end_at_step", &last.unwrap_or_default().to_string(), reason, &[]);
    }
    for (input, usual, reason) in [
        ("add_noise", "enable", "no noise was added"),
        ("return_with_leftover_noise", "disable", "the rest of the noise was left"),
    ] {
        if let Some(other) = graph.text(node, input, &[]).filter(|value| value != usual) {
            graph.refuse(&format!("KSamplerAdvanced {input}"), &other, reason, &[]);
        }
    }
}

/// Reads the size, or the image, that a sampler starts from.
pub(super) fn read_latents<'a>(graph: &mut Graph<'a>, sampler: Node<'a>, read: &mut Overrides) {
    let through = ["samples", "latent", "latent_image"];
    let Some(node) = graph.follow(sampler, "latent_image", &["EmptyLatentImage", "VAEEncode"], &through) else {
        return;
    };
    graph.check_inputs(node);
    let denoise: f64 = match sampler.class {
        "KSampler" => graph.number(sampler, "denoise", &["strength"]).unwrap_or(1.0),
        _ => 1.0,
    };
    if node.class == "VAEEncode" {
        let reason = "the picture was made from another one, which is not in it: give the initial image";
        graph.refuse("VAEEncode", "", reason, &["init_image"]);
        if denoise > 0.0 && denoise < 1.0 {
            // All `steps` are taken, the last of more. Half a step more, so that rounding takes none away.
            let steps = read.steps.unwrap_or(1).min(1_000_000);
            #[expect(clippy::cast_sign_loss, reason = "the share is positive")]
            let all = ((steps as f64 / denoise) as usize).max(steps);
            read.steps = Some(all);
            read.strength = Some(((steps as f64 + 0.5) / all as f64).min(1.0));
        } else {
            read.strength = Some(1.0);
        }
        return;
    }
    read.width = graph.number(node, "width", &["width"]);
    read.height = graph.number(node, "height", &["height"]);
    if denoise.total_cmp(&1.0).is_ne() {
        let reason = "the first steps were left out, though it started from nothing";
        graph.refuse("KSampler denoise", &denoise.to_string(), reason, &[]);
    }
    let pictures: Option<u64> = graph.number(node, "batch_size", &[]);
    if pictures.is_some_and(|pictures| pictures > 1) {
        let reason =
            "all pictures of a batch have one seed, and which one this is is not said; ignored, it is the first";
        graph.refuse("EmptyLatentImage batch_size", &pictures.unwrap_or_default().to_string(), reason, &[]);
    }
}
