//! `cargo bench -p ae-kernels`: the kernels at the sizes of Stable Diffusion 1 at 512x512.

use ae_kernels::{
    Attended, Attention, AttentionInputs, Conv2d, Enlargement, GroupNorm, Pictures, WeightOrder, geglu, geglu_gradient,
    layer_norm, linear,
};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    // As the pipeline calls them.
    ae_kernels::in_pool(divan::main);
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect()
}

/// Items are floating point operations.
#[divan::bench(args = [(4096, 320, 320), (4096, 1280, 320), (8192, 320, 2560), (1024, 640, 5120), (256, 1280, 1280), (256, 1280, 10240), (64, 1280, 1280)])]
fn linear_layers(bencher: Bencher<'_, '_>, (rows, inputs, outputs): (usize, usize, usize)) {
    let (input, weight, bias) = (numbers(rows * inputs), numbers(inputs * outputs), numbers(outputs));
    bencher
        .counter(ItemsCount::new(2 * rows * inputs * outputs))
        .bench(|| linear(black_box(&input), &*weight, WeightOrder::InputsFirst, outputs, Some(&bias), None));
}

/// Channels in and out, and the side of the picture.
#[divan::bench(args = [(320, 320, 64), (640, 640, 32), (1280, 1280, 16), (1280, 1280, 8), (960, 320, 64), (2560, 1280, 16), (32, 32, 32), (96, 96, 16), (128, 128, 256)], sample_count = 10)]
fn convolutions_3x3(bencher: Bencher<'_, '_>, (inputs, outputs, side): (usize, usize, usize)) {
    let (input, weight, bias) = (numbers(side * side * inputs), numbers(inputs * outputs * 9), numbers(outputs));
    let conv = Conv2d {
        weight: (&*weight).into(),
        outputs,
        inputs,
        kernel: [3, 3],
        stride: 1,
        padding: [1; 4],
        prepared: None,
    };
    let size = Pictures { batch: 1, rows: side, columns: side };
    bencher
        .counter(ItemsCount::new(2 * 9 * inputs * outputs * side * side))
        .bench(|| conv.forward(black_box(&input), size, Some(&bias), None));
}

/// Patches, keys and channels of a head, of 8 heads.
const ATTENTIONS: [(usize, usize, usize); 4] = [(4096, 4096, 40), (1024, 1024, 80), (256, 256, 160), (4096, 77, 40)];

fn attention((queries, keys, head_dim): (usize, usize, usize)) -> (Attention, [Vec<f32>; 3]) {
    let attention = Attention { batch: 1, heads: 8, queries, keys, head_dim, scale: (head_dim as f32).powf(-0.5) };
    (attention, [queries, keys, keys].map(|rows| numbers(rows * 8 * head_dim)))
}

#[divan::bench(args = ATTENTIONS, sample_count = 10)]
fn attention_forward(bencher: Bencher<'_, '_>, size: (usize, usize, usize)) {
    let (attention, [query, key, value]) = attention(size);
    bencher
        .counter(ItemsCount::new(4 * query.len() * size.1))
        .bench(|| attention.forward(black_box(&query), &key, &value));
}

#[divan::bench(args = ATTENTIONS, sample_count = 10)]
fn attention_gradient(bencher: Bencher<'_, '_>, size: (usize, usize, usize)) {
    let (attention, [query, key, value]) = attention(size);
    let Attended { output, softmax } = attention.forward(&query, &key, &value);
    let inputs = AttentionInputs {
        query: &query,
        key: &key,
        value: &value,
        output: &output,
        softmax: &softmax,
        gradient: &query,
    };
    // The text does not depend on the latents: no gradient by its keys and values.
    let by_key_and_value = size.0 == size.1;
    bencher
        .counter(ItemsCount::new(if by_key_and_value { 10 } else { 6 } * query.len() * size.1))
        .bench(|| attention.gradient(black_box(inputs), by_key_and_value));
}

/// Channels, and the side of the picture. Items are bytes read and written.
#[divan::bench(args = [(320, 64), (1280, 16), (32, 32), (128, 512)], sample_count = 20)]
fn group_norm_and_silu(bencher: Bencher<'_, '_>, (channels, side): (usize, usize)) {
    let (input, gamma) = (numbers(side * side * channels), numbers(channels));
    let norm = GroupNorm { gamma: &gamma, beta: &gamma, groups: 32, epsilon: 1e-5, silu: true };
    let size = Pictures { batch: 1, rows: side, columns: side };
    bencher.counter(BytesCount::new(8 * input.len())).bench(|| {
        let input = black_box(&input);
        norm.forward(input, size, &norm.statistics(input, size))
    });
}

#[divan::bench(sample_count = 20)]
fn layer_norm_of_4096_by_320(bencher: Bencher<'_, '_>) {
    let (input, gamma) = (numbers(4096 * 320), numbers(320));
    bencher.counter(BytesCount::new(8 * input.len())).bench(|| layer_norm(black_box(&input), &gamma, &gamma, 1e-5));
}

#[divan::bench(sample_count = 20)]
fn geglu_of_4096_by_1280(bencher: Bencher<'_, '_>) {
    let input = numbers(4096 * 2560);
    bencher.counter(BytesCount::new(6 * input.len())).bench(|| geglu(black_box(&input), 1280));
}

#[divan::bench(sample_count = 20)]
fn geglu_gradient_of_4096_by_1280(bencher: Bencher<'_, '_>) {
    let (input, gradient) = (numbers(4096 * 2560), numbers(4096 * 1280));
    bencher.counter(BytesCount::new(10 * input.len())).bench(|| geglu_gradient(black_box(&input), &gradient, 1280));
}

/// Channels, and the side of the picture.
#[divan::bench(args = [(320, 64), (1280, 16), (32, 32)], sample_count = 20)]
fn group_norm_gradient(bencher: Bencher<'_, '_>, (channels, side): (usize, usize)) {
    let (input, gamma) = (numbers(side * side * channels), numbers(channels));
    let norm = GroupNorm { gamma: &gamma, beta: &gamma, groups: 32, epsilon: 1e-5, silu: true };
    let size = Pictures { batch: 1, rows: side, columns: side };
    let statistics = norm.statistics(&input, size);
    let gradient = numbers(input.len());
    bencher
        .counter(BytesCount::new(12 * input.len()))
        .bench(|| norm.input_gradient(black_box(&input), size, &statistics, &gradient));
}

/// Channels, and the side of the picture that is doubled.
#[divan::bench(args = [(640, 32), (96, 16)], sample_count = 20)]
fn enlargement_gradient(bencher: Bencher<'_, '_>, (channels, side): (usize, usize)) {
    let from = Pictures { batch: 1, rows: side, columns: side };
    let enlargement = Enlargement { from, rows: 2 * side, columns: 2 * side, channels };
    let gradient = numbers(4 * side * side * channels);
    bencher.counter(BytesCount::new(5 * gradient.len())).bench(|| enlargement.input_gradient(black_box(&gradient)));
}
