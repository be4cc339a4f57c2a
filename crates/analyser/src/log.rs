//! The kernel's own log, in the three forms it has had.
//!
//! | form | told by | text |
//! |---|---|---|
//! | plain ring | symbol `logged_chars` or `log_end`, no record type | bytes of `log_buf`, the newest end at `log_end` |
//! | records | `struct printk_log` (`log` at first) | variable-length records in `log_buf`, from `log_first_idx` on |
//! | lockless ring | symbol `prb`, `struct printk_ringbuffer` | descriptors, infos and a text ring |
//!
//! Source: kernel/printk.c and kernel/printk/printk_ringbuffer.c of the kernels concerned. Everything read is bounded: a log is at
//! most [`MAX_LOG`] bytes.

use serde::Serialize;

use crate::target::View;

/// Larger rings than this are taken for damage.
const MAX_LOG: u64 = 64 << 20;

/// What a crash looks like in a kernel log, best evidence first.
const PANIC_MARKS: &[&str] =
    &["Kernel panic - not syncing", "BUG: ", "Oops", "general protection fault", "SysRq : Trigger a crash"];

/// The kernel log as it was at the crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KernelLog {
    /// Lines, oldest first, without their end; bytes that are no text are shown as replacement characters.
    pub lines: Vec<String>,
    /// The line that says why the kernel died, when there is one.
    pub panic: Option<String>,
}

impl KernelLog {
    fn from_lines(lines: Vec<String>) -> KernelLog {
        let panic = PANIC_MARKS
            .iter()
            .find_map(|mark| {
                lines.iter().rev().find(|line| line.contains(mark) && !line.contains("---[ end"))
            })
            .map(|line| strip_decoration(line).to_owned());
        KernelLog { lines, panic }
    }

    fn from_text(text: &[u8]) -> KernelLog {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        KernelLog::from_lines(lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect())
    }
}

/// A line without its `<level>` and `[time]`.
fn strip_decoration(line: &str) -> &str {
    let line = match line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((level, rest)) if level.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    };
    match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((time, rest)) if time.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b' ') => rest,
        _ => line,
    }
}

/// Reads the log, in whichever form this kernel keeps it; `None` when types or memory do not allow it.
pub(crate) fn read(view: &View) -> Option<KernelLog> {
    lockless(view).or_else(|| records(view)).or_else(|| plain(view))
}

/// Up to 3.4: a ring of characters. `log_end` runs freely; `logged_chars` tells how much of the ring was ever used.
fn plain(view: &View) -> Option<KernelLog> {
    let buf = view.word(view.symbol("log_buf")?)?;
    let len = u64::from(number(view, "log_buf_len")?);
    let end = u64::from(number(view, "log_end")?);
    let used = number(view, "logged_chars").map_or(len, u64::from).min(len);
    if len == 0 || len > MAX_LOG || !len.is_power_of_two() {
        return None;
    }
    Some(KernelLog::from_text(&ring(view, buf, len, end.wrapping_sub(used), used)?))
}

/// 3.5 to 5.9: records `{ts_nsec, len, text_len, …}` followed by their text; a length of 0 sends the reader back to the start.
fn records(view: &View) -> Option<KernelLog> {
    let layout = ["printk_log", "log"]
        .iter()
        .find_map(|name| view.layout_with(name, &["ts_nsec", "len", "text_len"]))?;
    let buf = view.word(view.symbol("log_buf")?)?;
    let len = u64::from(number(view, "log_buf_len")?);
    let first = u64::from(number(view, "log_first_idx")?);
    let next = u64::from(number(view, "log_next_idx")?);
    if len == 0 || len > MAX_LOG || first >= len || next > len {
        return None;
    }
    let mut lines = Vec::new();
    let (mut at, mut wrapped) = (first, false);
    // Each record is at least as long as its header, so this many steps see the whole ring twice.
    for _ in 0..2 * len / layout.size.max(1) {
        if at == next && (wrapped || next >= first) {
            break;
        }
        // What can no longer be followed ends the log; what was read stands.
        let Some(record) = view.object(layout, buf.wrapping_add(at)) else { break };
        let record_len = record.uint("len")?;
        if record_len == 0 {
            if wrapped {
                break;
            }
            (at, wrapped) = (0, true);
            continue;
        }
        let text_len = record.uint("text_len")?.min(record_len.saturating_sub(layout.size));
        let text_at = buf.wrapping_add(at).wrapping_add(layout.size);
        if let Some(text) = view.bytes(text_at, usize::try_from(text_len).ok()?) {
            push_record(&mut lines, record.uint("ts_nsec")?, &text);
        }
        at = at.saturating_add(record_len);
        if at >= len {
            (at, wrapped) = (0, true);
        }
    }
    Some(KernelLog::from_lines(lines))
}

/// 5.10 and later: `prb` → descriptors (state, position of the text), infos (time, length), text blocks that begin with the
/// descriptor's id. Only committed and finalised descriptors count; ids run freely from tail to head.
fn lockless(view: &View) -> Option<KernelLog> {
    let prb = view.word(view.symbol("prb")?)?;
    let ring_layout = view.layout_with(
        "printk_ringbuffer",
        &[
            "desc_ring.count_bits",
            "desc_ring.descs",
            "desc_ring.infos",
            "text_data_ring.size_bits",
            "text_data_ring.data",
        ],
    )?;
    let desc_layout =
        view.layout_with("prb_desc", &["state_var", "text_blk_lpos.begin", "text_blk_lpos.next"])?;
    let info_layout = view.layout_with("printk_info", &["ts_nsec", "text_len"])?;
    let ring = view.object(ring_layout, prb)?;
    let (count_bits, size_bits) =
        (ring.uint("desc_ring.count_bits")?, ring.uint("text_data_ring.size_bits")?);
    if count_bits > 24 || size_bits > 30 {
        return None;
    }
    let (count, size) = (1u64 << count_bits, 1u64 << size_bits);
    let (descs, infos) = (ring.uint("desc_ring.descs")?, ring.uint("desc_ring.infos")?);
    let data = ring.uint("text_data_ring.data")?;
    let (head, tail) = (ring.uint("desc_ring.head_id")?, ring.uint("desc_ring.tail_id")?);
    let word = view.memory.abi().word_bytes() as u64;
    let id_bits = word * 8 - 2;
    let id_mask = (1u64 << id_bits) - 1;

    let mut lines = Vec::new();
    for step in 0..=(head.wrapping_sub(tail) & id_mask).min(count - 1) {
        let id = tail.wrapping_add(step) & id_mask;
        let slot = id & (count - 1);
        let desc_at = descs.wrapping_add(slot.wrapping_mul(desc_layout.size));
        let Some(desc) = view.object(desc_layout, desc_at) else { continue };
        let state = desc.uint("state_var")?;
        // States 1 (committed) and 2 (finalised); 0 is being written, 3 may be reused.
        if state & id_mask != id || !matches!(state >> id_bits, 1 | 2) {
            continue;
        }
        let info_at = infos.wrapping_add(slot.wrapping_mul(info_layout.size));
        let Some(info) = view.object(info_layout, info_at) else { continue };
        let (begin, next) = (desc.uint("text_blk_lpos.begin")?, desc.uint("text_blk_lpos.next")?);
        // Odd positions mark records without text.
        if begin & 1 != 0 {
            continue;
        }
        // A block that would cross the end of the ring lies at its start instead.
        let at = if begin >> size_bits == next.wrapping_sub(1) >> size_bits { begin & (size - 1) } else { 0 };
        let room = size.saturating_sub(at).saturating_sub(word);
        let text_len = usize::try_from(info.uint("text_len")?.min(room)).ok()?;
        if let Some(text) = view.bytes(data.wrapping_add(at).wrapping_add(word), text_len) {
            push_record(&mut lines, info.uint("ts_nsec")?, &text);
        }
    }
    Some(KernelLog::from_lines(lines))
}

/// One record, with its time as the console shows it; a record may hold several lines.
fn push_record(lines: &mut Vec<String>, ts_nsec: u64, text: &[u8]) {
    let (seconds, micros) = (ts_nsec / 1_000_000_000, ts_nsec / 1000 % 1_000_000);
    for line in text.split(|byte| *byte == b'\n') {
        lines.push(format!("[{seconds:5}.{micros:06}] {}", String::from_utf8_lossy(line)));
    }
}

/// `len` bytes of a ring of `size` bytes (a power of two) at `base`, from free-running position `from` on.
fn ring(view: &View, base: u64, size: u64, from: u64, len: u64) -> Option<Vec<u8>> {
    let start = from & (size - 1);
    let first = len.min(size - start);
    let mut bytes = view.bytes(base.wrapping_add(start), usize::try_from(first).ok()?)?;
    bytes.extend(view.bytes(base, usize::try_from(len - first).ok()?)?);
    Some(bytes)
}

/// A 32-bit variable.
fn number(view: &View, symbol: &str) -> Option<u32> {
    view.memory.read_u32(vmcore::VirtAddr(view.symbol(symbol)?)).ok()
}

/// Structures and symbols that this module asks the type information for.
pub(crate) fn want(wanted: &mut kdebug::Wanted) {
    for name in ["printk_log", "log", "printk_ringbuffer", "prb_desc", "printk_info"] {
        wanted.structs.push(name.to_owned());
    }
    for name in ["log_buf", "log_buf_len", "log_end", "logged_chars", "log_first_idx", "log_next_idx", "prb"]
    {
        wanted.symbols.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_death_is_found_and_undecorated() {
        let log = KernelLog::from_text(
            b"<6>[    1.000000] booting\n<0>[   12.345678] Kernel panic - not syncing: SysRq\n<4>Pid: 1\n",
        );
        assert_eq!(log.lines.len(), 3);
        assert_eq!(log.panic.as_deref(), Some("Kernel panic - not syncing: SysRq"));
        assert_eq!(KernelLog::from_text(b"all is well\n").panic, None);

        let log = KernelLog::from_text(
            b"Kernel panic - not syncing: x\n---[ end Kernel panic - not syncing: x ]---\n",
        );
        assert_eq!(log.panic.as_deref(), Some("Kernel panic - not syncing: x"));
    }

    #[test]
    fn only_real_decoration_is_stripped() {
        assert_eq!(strip_decoration("<a> [x] y"), "<a> [x] y");
        assert_eq!(strip_decoration("[    0.5] y"), "y");
    }
}
