//! ggml's quantized types, which pack numbers in blocks with scales of their own (`ggml-quants.c` of ggml; `quants.py` of gguf).

use half::f16;

/// How the numbers of a type are packed.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    /// ggml's name of the type.
    pub(super) name: &'static str,
    /// ggml's number of the type.
    kind: u32,
    /// Numbers of a block.
    pub(super) numbers: usize,
    /// Bytes of a block.
    pub(super) bytes: usize,
    /// Unpacks a block of so many bytes into so many numbers.
    unpack: fn(&[u8], &mut [f32]),
}

const fn blocks(name: &'static str, kind: u32, numbers: usize, bytes: usize, unpack: fn(&[u8], &mut [f32])) -> Blocks {
    Blocks { name, kind, numbers, bytes, unpack }
}

impl Blocks {
    pub(super) const ALL: [Self; 10] = [
        blocks("Q8_0", 8, 32, 34, q8_0),
        blocks("Q6_K", 14, 256, 210, q6_k),
        blocks("Q5_K", 13, 256, 176, |block, numbers| q4_k_or_q5_k(block, Some(&block[16..48]), &block[48..], numbers)),
        blocks("Q4_K", 12, 256, 144, |block, numbers| q4_k_or_q5_k(block, None, &block[16..], numbers)),
        blocks("Q3_K", 11, 256, 110, q3_k),
        blocks("Q2_K", 10, 256, 84, q2_k),
        blocks("Q5_1", 7, 32, 24, |block, numbers| {
            nibbles(number(block, 0), number(block, 2), &block[4..], true, numbers);
        }),
        blocks("Q5_0", 6, 32, 22, |block, numbers| {
            let scale = number(block, 0);
            nibbles(scale, -16.0 * scale, &block[2..], true, numbers);
        }),
        blocks("Q4_1", 3, 32, 20, |block, numbers| {
            nibbles(number(block, 0), number(block, 2), &block[4..], false, numbers);
        }),
        blocks("Q4_0", 2, 32, 18, |block, numbers| {
            let scale = number(block, 0);
            nibbles(scale, -8.0 * scale, &block[2..], false, numbers);
        }),
    ];

    /// By ggml's number of the type.
    pub(super) fn of(kind: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|blocks| blocks.kind == kind)
    }

    /// The numbers of whole blocks in single precision, little-endian.
    pub(super) fn widened(self, bytes: &[u8]) -> Vec<u8> {
        let blocks = bytes.chunks_exact(self.bytes);
        let mut numbers = vec![0.0; self.numbers];
        let mut output = Vec::with_capacity(blocks.len() * self.numbers * size_of::<f32>());
        for block in blocks {
            (self.unpack)(block, &mut numbers);
            output.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        output
    }
}

/// The half-precision number at a byte.
fn number(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn signed(byte: u8) -> f32 {
    f32::from(byte.cast_signed())
}

fn q8_0(block: &[u8], numbers: &mut [f32]) {
    let scale = number(block, 0);
    for (number, byte) in numbers.iter_mut().zip(&block[2..]) {
        *number = scale * signed(*byte);
    }
}

/// 32 numbers of four bits, those of the first half in the low ones; with a fifth bit of each in 32 bits before them, if
/// `has_fifth`. A number is `scale` times the bits, plus `least`, which is a whole multiple of the scale or a number of its own.
fn nibbles(scale: f32, least: f32, packed: &[u8], has_fifth: bool, numbers: &mut [f32]) {
    let (fifth, packed) = if has_fifth { packed.split_at(4) } else { ([0; 4].as_slice(), packed) };
    for (index, number) in numbers.iter_mut().enumerate() {
        let byte = packed[index % 16];
        let low = if index < 16 { byte & 0xf } else { byte >> 4 };
        let high = fifth[index / 8] >> (index % 8) & 1;
        *number = scale * f32::from(low | high << 4) + least;
    }
}

/// Scale and least number of part `index` of 8, of six bits each.
fn scale_and_least(packed: &[u8], index: usize) -> (f32, f32) {
    let (scale, least) = if index < 4 {
        (packed[index] & 63, packed[index + 4] & 63)
    } else {
        let (both, scale, least) = (packed[index + 4], packed[index - 4], packed[index]);
        (both & 0xf | scale >> 6 << 4, both >> 4 | least >> 6 << 4)
    };
    (f32::from(scale), f32::from(least))
}

/// Parts of 32 numbers of four bits, two parts to 32 bytes; with a fifth bit, that of part `i` in bit `i` of 32 bytes.
fn q4_k_or_q5_k(block: &[u8], fifth: Option<&[u8]>, packed: &[u8], numbers: &mut [f32]) {
    let (scales, leasts) = (number(block, 0), number(block, 2));
    for (part, numbers) in numbers.chunks_exact_mut(32).enumerate() {
        let (scale, least) = scale_and_least(&block[4..16], part);
        let (scale, least) = (scales * scale, leasts * least);
        for (index, number) in numbers.iter_mut().enumerate() {
            let byte = packed[part / 2 * 32 + index];
            let low = if part % 2 == 0 { byte & 0xf } else { byte >> 4 };
            let high = fifth.map_or(0, |fifth| fifth[index] >> part & 1);
            *number = scale * f32::from(low | high << 4) - least;
        }
    }
}

/// Parts of 16 numbers of six bits: two halves of 128, in each four runs of 32.
fn q6_k(block: &[u8], numbers: &mut [f32]) {
    let (low, high, scales, scale) = (&block[..128], &block[128..192], &block[192..208], number(block, 208));
    for (index, number) in numbers.iter_mut().enumerate() {
        let (half, run, place) = (index / 128, index / 32 % 4, index % 32);
        let byte = low[half * 64 + run % 2 * 32 + place];
        let low = if run < 2 { byte & 0xf } else { byte >> 4 };
        let high = high[half * 32 + place] >> (2 * run) & 3;
        *number = scale * signed(scales[index / 16]) * (f32::from(low | high << 4) - 32.0);
    }
}

/// The two bits of a number: two halves of 128, in each four runs of 32 in the bits of 32 bytes.
fn two_bits(packed: &[u8], index: usize) -> u8 {
    packed[index / 128 * 32 + index % 32] >> (index / 32 % 4 * 2) & 3
}

/// Parts of 16 numbers of two bits, each with a scale and a least number of four bits.
fn q2_k(block: &[u8], numbers: &mut [f32]) {
    let (scale, least) = (number(block, 80), number(block, 82));
    for (index, number) in numbers.iter_mut().enumerate() {
        let packed = block[index / 16];
        let (scale, least) = (scale * f32::from(packed & 0xf), least * f32::from(packed >> 4));
        *number = scale * f32::from(two_bits(&block[16..80], index)) - least;
    }
}

/// Parts of 16 numbers of two bits and a third one, whose absence takes four away; the scales are of six bits.
fn q3_k(block: &[u8], numbers: &mut [f32]) {
    let (third, packed, scales, scale) = (&block[..32], &block[32..96], &block[96..108], number(block, 108));
    for (index, number) in numbers.iter_mut().enumerate() {
        let part = index / 16;
        let low = scales[part % 8] >> (part / 8 * 4) & 0xf;
        let high = scales[8 + part % 4] >> (part / 4 * 2) & 3;
        let scale = scale * (f32::from(low | high << 4) - 32.0);
        let less = if third[index % 32] >> (index / 32) & 1 == 1 { 0.0 } else { 4.0 };
        *number = scale * (f32::from(two_bits(packed, index)) - less);
    }
}
