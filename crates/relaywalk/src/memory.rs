//! Small reads that every walker needs: words, arrays of words, C strings.

use crate::{Abi, ReadError, ReadErrorKind, Target, VirtAddr};

/// Elements that one array read may have; larger counts in the core are lies (a million counters are a terabyte of buffer).
pub(crate) const MAX_WORDS: u64 = 1 << 20;

/// The word at `addr`.
pub(crate) fn word(target: &dyn Target, addr: VirtAddr) -> Result<u64, ReadError> {
    let abi = target.abi();
    let mut bytes = [0; 8];
    let bytes = if abi.word_bytes() == 4 { &mut bytes[..4] } else { &mut bytes[..] };
    target.read_virt(addr, bytes)?;
    abi.word(bytes, 0).ok_or(unreadable(addr))
}

/// The 32-bit integer at `addr`.
pub(crate) fn u32(target: &dyn Target, addr: VirtAddr) -> Result<u32, ReadError> {
    let mut bytes = [0; 4];
    target.read_virt(addr, &mut bytes)?;
    let value = target.abi().uint(&bytes, 0, 4);
    value.and_then(|v| u32::try_from(v).ok()).ok_or(unreadable(addr))
}

/// `count` words from `addr` on, in one read.
///
/// Errors: also [`ReadErrorKind::Absent`] for more than [`MAX_WORDS`].
pub(crate) fn words(target: &dyn Target, addr: VirtAddr, count: u64) -> Result<Vec<u64>, ReadError> {
    let abi = target.abi();
    let size = abi.word_bytes();
    let bytes = array(target, addr, count, size)?;
    Ok((0..count).filter_map(|i| abi.word(&bytes, i * size)).collect())
}

/// The bytes of `count` elements of `stride` bytes from `addr` on, in one read.
pub(crate) fn array(
    target: &dyn Target,
    addr: VirtAddr,
    count: u64,
    stride: u64,
) -> Result<Vec<u8>, ReadError> {
    let len = count.checked_mul(stride).filter(|_| count <= MAX_WORDS && stride <= 4096);
    let len = len.and_then(|len| usize::try_from(len).ok()).ok_or(unreadable(addr))?;
    let mut bytes = vec![0; len];
    target.read_virt(addr, &mut bytes)?;
    Ok(bytes)
}

/// Bytes up to the first NUL, at most `max` of them. What lies beyond an unreadable page is left out; an error only if
/// nothing can be read.
pub(crate) fn cstr(target: &dyn Target, addr: VirtAddr, max: usize) -> Result<Vec<u8>, ReadError> {
    const STEP: usize = 256;
    let mut text = Vec::new();
    while text.len() < max {
        let at = addr.offset(text.len() as u64);
        // Steps end on a step boundary, so that none runs into a page that the string does not reach.
        let used = usize::try_from(at.0 % STEP as u64).unwrap_or(0);
        let step = (STEP - used).min(max - text.len());
        let mut piece = [0; STEP];
        let Some(piece) = piece.get_mut(..step) else { break };
        match target.read_virt(at, piece) {
            Ok(()) => {}
            Err(error) if text.is_empty() => return Err(error),
            Err(_) => break,
        }
        let end = piece.iter().position(|&byte| byte == 0);
        text.extend(piece.iter().take(end.unwrap_or(step)));
        if end.is_some() {
            break;
        }
    }
    Ok(text)
}

/// Whether `addr` can be a kernel object: not null, not near it, word aligned or not.
pub(crate) fn is_kernel(abi: Abi, addr: VirtAddr) -> bool {
    // Every kernel of interest lives in the upper half of a 64-bit space; 32-bit ones split it variously.
    if abi.word_bytes() == 8 { addr.0 >= 1 << 48 } else { addr.0 >= 0x1000 && addr.0 <= abi.word_mask() }
}

fn unreadable(addr: VirtAddr) -> ReadError {
    ReadError { addr: addr.0, kind: ReadErrorKind::Absent }
}
