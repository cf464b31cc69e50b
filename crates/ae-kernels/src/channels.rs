use crate::profile::{Kernel, counted};

/// The channels of two feature maps beside each other.
///
/// # Shapes
/// - maps: `[pixels, widths[0]]` and `[pixels, widths[1]]`
/// - output: `[pixels, widths[0] + widths[1]]`
///
/// # Panics
///
/// When the maps do not have as many pixels as each other.
pub fn join_channels(maps: [&[f32]; 2], widths: [usize; 2]) -> Vec<f32> {
    let [first, second] = widths;
    assert_eq!(maps[0].len() * second, maps[1].len() * first, "channels: pixels");
    counted(Kernel::Elementwise, 0, || {
        let mut out = Vec::with_capacity(maps[0].len() + maps[1].len());
        for (a, b) in maps[0].chunks_exact(first).zip(maps[1].chunks_exact(second)) {
            out.extend_from_slice(a);
            out.extend_from_slice(b);
        }
        out
    })
}

/// The inverse of [`join_channels`], which is its gradient too.
///
/// # Panics
///
/// When `map` is not of whole pixels.
pub fn split_channels(map: &[f32], [first, second]: [usize; 2]) -> [Vec<f32>; 2] {
    let pixels = map.len() / (first + second);
    assert_eq!(map.len(), pixels * (first + second), "channels: whole pixels");
    counted(Kernel::Elementwise, 0, || {
        let [mut a, mut b] = [first, second].map(|width| Vec::with_capacity(pixels * width));
        for pixel in map.chunks_exact(first + second) {
            a.extend_from_slice(&pixel[..first]);
            b.extend_from_slice(&pixel[first..]);
        }
        [a, b]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_joined_pixel_by_pixel_and_split_again() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let joined = join_channels([&a, &b], [2, 1]);
        assert_eq!(joined, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        assert_eq!(split_channels(&joined, [2, 1]), [a.to_vec(), b.to_vec()]);
    }
}
