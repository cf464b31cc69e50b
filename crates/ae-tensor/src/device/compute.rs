use burn::tensor::Device;

/// Runs `work`, whose operations are on `device`, on the thread where they start soonest.
///
/// On the CPU that is one of the threads that compute: otherwise each of a network's hundreds of operations is handed over to
/// them and waited for. On a GPU it is the caller's.
pub fn compute_on<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "cpu")]
    if is_cpu(device) {
        let flag = super::interrupt::flag();
        return ae_kernels::in_pool(|| super::interrupt::with(flag, work));
    }
    let _ = device;
    work()
}

/// Whether networks run on the kernels of the CPU.
pub(crate) fn is_cpu(device: &Device) -> bool {
    #[cfg(feature = "cpu")]
    let is_cpu = *device == Device::flex();
    #[cfg(not(feature = "cpu"))]
    let is_cpu = {
        let _ = device;
        false
    };
    is_cpu
}
