//! The allocator of the C library.

/// Arenas of its heap that all threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// Keeps a process small that answers for weeks.
///
/// By itself glibc gives every thread an arena of its own, up to eight for each core, and each keeps what was freed in it: after two
/// minutes of a crowd a studio had 75 to 90 MB more than before, with two arenas 20. `MALLOC_ARENA_MAX` of the environment goes before.
///
/// To be called before other threads begin.
pub(crate) fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        #[expect(unsafe_code, reason = "the C library has no safe function for it")]
        // SAFETY: two numbers are passed, and no other thread runs yet that could allocate meanwhile. What it does not know it
        // refuses, and nothing is changed.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        }
    }
}
