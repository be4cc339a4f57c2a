//! Which CPUs the crashed machine could have had.

use crate::memory;
use crate::{Target, VirtAddr};

/// Symbols of the mask of possible CPUs: the mask itself (several spellings), then a pointer to it.
const MASKS: [&str; 3] = ["cpu_possible_map", "__cpu_possible_mask", "cpu_possible_bits"];
const MASK_POINTER: &str = "cpu_possible_mask";

/// Symbols read by this module.
pub(crate) const SYMBOLS: &[&str] =
    &["cpu_possible_map", "__cpu_possible_mask", "cpu_possible_bits", "cpu_possible_mask", "nr_cpu_ids"];

/// More CPUs than any kernel was built for.
const MAX_CPUS: u64 = 8192;

/// Numbers of the possible CPUs, ascending, below `bound` (an array's length, if known) and below every limit the kernel states.
///
/// Without a readable mask every number below the limit is possible. Never empty: there is a CPU 0.
#[must_use]
pub fn possible(target: &dyn Target, bound: Option<u64>) -> Vec<u32> {
    let ids = symbol(target, "nr_cpu_ids").and_then(|addr| memory::u32(target, addr).ok()).map(u64::from);
    let ids = ids.filter(|&ids| ids != 0 && ids <= MAX_CPUS);
    let built = target.constant("NR_CPUS").filter(|&n| n != 0);
    let limit = [bound.filter(|&n| n != 0), ids, built].into_iter().flatten().min();
    let mask_limit = limit.unwrap_or(64).min(MAX_CPUS);
    let limit = u32::try_from(mask_limit).unwrap_or(1);
    let from_mask = mask(target, mask_limit).map(|mask| {
        let set = |cpu: &u32| mask.get((cpu / 8) as usize).is_some_and(|byte| byte >> (cpu % 8) & 1 == 1);
        (0..limit).filter(set).collect::<Vec<_>>()
    });
    from_mask.filter(|cpus| !cpus.is_empty()).unwrap_or_else(|| (0..limit.max(1)).collect())
}

fn symbol(target: &dyn Target, name: &str) -> Option<VirtAddr> {
    target.symbols(name).first().map(|symbol| VirtAddr(symbol.addr))
}

/// The mask, one bit per CPU, in ascending byte order.
fn mask(target: &dyn Target, bits: u64) -> Option<Vec<u8>> {
    let direct = MASKS.iter().find_map(|name| symbol(target, name));
    let addr = match direct {
        Some(addr) => addr,
        None => VirtAddr(memory::word(target, symbol(target, MASK_POINTER)?).ok()?),
    };
    let word_bits = u64::from(target.abi().word_bits());
    let words = memory::words(target, addr, bits.div_ceil(word_bits)).ok()?;
    let word_bytes = usize::try_from(target.abi().word_bytes()).ok()?;
    Some(words.iter().flat_map(|word| word.to_le_bytes().into_iter().take(word_bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::{Endian, WordSize};

    #[test]
    fn masks_in_both_byte_orders_and_behind_a_pointer() {
        for (word, endian) in [(WordSize::Bits64, Endian::Little), (WordSize::Bits32, Endian::Big)] {
            let mut fake = Fake::new(word, endian);
            fake.constants.insert("NR_CPUS".into(), 64);
            let (mask, pointer) = (fake.alloc(16), fake.alloc(8));
            fake.put_word(mask, 0b1011);
            fake.put_word(pointer, mask.0);
            fake.symbol("cpu_possible_mask", pointer);
            assert_eq!(possible(&fake, None), [0, 1, 3]);
            assert_eq!(possible(&fake, Some(2)), [0, 1]);
            fake.symbol("cpu_possible_map", mask);
            assert_eq!(possible(&fake, None), [0, 1, 3]);
        }
    }

    #[test]
    fn without_a_mask_the_limits_count() {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        assert_eq!(possible(&fake, None).len(), 64);
        let ids = fake.alloc(4);
        fake.symbol("nr_cpu_ids", ids);
        fake.put(ids, 4, 3);
        assert_eq!(possible(&fake, None), [0, 1, 2]);
        fake.put(ids, 4, 0xffff_ffff);
        assert_eq!(possible(&fake, Some(u64::MAX)).len(), 8192);
    }
}
