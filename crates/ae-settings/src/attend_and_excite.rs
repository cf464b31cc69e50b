//! The parameters of Attend-and-Excite.

use crate::option::options;
use crate::{EotNormalization, Group, StepIndex, Thresholds};

options! {
    /// The parameters of Attend-and-Excite (Chefer et al. 2023); the default is the paper's.
    struct AttendAndExcite, AttendAndExciteOverrides {
        /// Guidance ends after so many steps: a number, or a share of the steps.
        [label: "Guide until step", group: Group::AttendAndExcite, value_name: "N|X%"]
        max_iter_to_alter: StepIndex = StepIndex::Percent(50.0);

        /// Steps with iterative refinement and the attention each subject must reach there, or "none". A step is a number, or a
        /// share of the steps.
        [label: "Refinement thresholds", group: Group::AttendAndExcite, value_name: "STEP:X,..",
            default_text: Some("the model's, or 0%:0.05,20%:0.5,40%:0.8")]
        thresholds: Thresholds = Thresholds::new([(0.0, 0.05), (20.0, 0.5), (40.0, 0.8)]
            .map(|(percent, threshold)| (StepIndex::Percent(percent), threshold)));

        /// Most updates of the latents in one refinement.
        [label: "Max refinement iterations", group: Group::AttendAndExcite, value_name: "N", range: Some([0.0, 10_000.0])]
        max_refinement_steps: usize = 20;

        /// Step size of the latent update.
        [label: "Scale factor", group: Group::AttendAndExcite, value_name: "X", range: Some([0.0, f64::INFINITY]),
            default_text: Some("the model's, or 20")]
        scale_factor: f64 = 20.0;

        /// The step size shrinks with the root of a line between these two.
        [label: "Scale range", group: Group::AttendAndExcite, value_name: "FROM,TO"]
        scale_range: (f64, f64) = (1.0, 0.5);

        /// Factor before the softmax over tokens.
        [label: "Attention scale", group: Group::AttendAndExcite, value_name: "X", range: Some([0.0, f64::INFINITY]), above: true,
            default_text: Some("the model's, or 100")]
        attention_scale: f64 = 100.0;

        /// Size of the attention maps that are read: 16, or rows x columns such as 12x20.
        [label: "Attention map size", group: Group::AttendAndExcite, value_name: "N|RxC",
            default_text: Some("by model and image size")]
        attention_res: Option<[usize; 2]> = None;

        /// Smooth the maps with a Gaussian.
        [label: "Smoothing", group: Group::AttendAndExcite, flag: Some("no-smoothing")]
        smoothing: bool = true;

        /// Width of the Gaussian.
        [label: "Sigma", group: Group::AttendAndExcite, value_name: "X", range: Some([0.0, f64::INFINITY]), above: true]
        sigma: f64 = 0.5;

        /// Side of the Gaussian's kernel, odd.
        [label: "Kernel size", group: Group::AttendAndExcite, value_name: "N", range: Some([1.0, 1001.0])]
        kernel_size: usize = 3;

        /// Leave the end token and the padding out of the softmax; auto does so for Stable Diffusion 2.
        [label: "End token normalization", group: Group::AttendAndExcite, value_name: "WHEN"]
        eot_normalization: EotNormalization = EotNormalization::Auto;
    }
}
