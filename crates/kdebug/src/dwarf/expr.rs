//! Numbers in attributes: constants of any form, and the expressions of old compilers.

use super::units::Slice;
use gimli::{AttributeValue, Operation, Reader};

/// A constant of any size or signedness.
pub(crate) fn constant<R: Reader<Offset = usize>>(value: &AttributeValue<R>) -> Option<i128> {
    match value {
        AttributeValue::Data1(value) => Some(i128::from(*value)),
        AttributeValue::Data2(value) => Some(i128::from(*value)),
        AttributeValue::Data4(value) => Some(i128::from(*value)),
        AttributeValue::Data8(value) | AttributeValue::Udata(value) => Some(i128::from(*value)),
        AttributeValue::Sdata(value) => Some(i128::from(*value)),
        // The 4- and 8-byte forms of DWARF 2 and 3 may be constants or offsets.
        AttributeValue::SecOffset(value) => i128::try_from(*value).ok(),
        _ => None,
    }
}

/// `DW_AT_data_member_location`: a constant, or in DWARF 2 an expression that adds a constant to the
/// struct's address. Missing means 0, as in unions.
pub(crate) fn member_location(
    value: Option<&AttributeValue<Slice<'_>>>,
    encoding: gimli::Encoding,
) -> Option<u64> {
    let Some(value) = value else { return Some(0) };
    let expression = match value {
        AttributeValue::Block(bytes) => gimli::Expression(*bytes),
        AttributeValue::Exprloc(expression) => *expression,
        constant_form => return u64::try_from(constant(constant_form)?).ok(),
    };
    let mut operations = expression.operations(encoding);
    let mut pushed = None;
    let mut location = 0u64;
    while let Some(operation) = operations.next().ok()? {
        match operation {
            Operation::PlusConstant { value } if pushed.is_none() => {
                location = location.checked_add(value)?;
            }
            Operation::UnsignedConstant { value } if pushed.is_none() => pushed = Some(value),
            Operation::Plus => location = location.checked_add(pushed.take()?)?,
            _ => return None,
        }
    }
    pushed.is_none().then_some(location)
}

/// Number of elements that a dimension of an array has; `None` if the declaration leaves it open.
pub(crate) fn dimension(
    count: Option<&AttributeValue<Slice<'_>>>,
    upper_bound: Option<&AttributeValue<Slice<'_>>>,
) -> Option<u64> {
    if let Some(count) = count {
        return u64::try_from(constant(count)?).ok();
    }
    match upper_bound? {
        // How old compilers write the bound -1 of an array of no elements.
        AttributeValue::Data4(u32::MAX) | AttributeValue::Data8(u64::MAX) => Some(0),
        bound => u64::try_from(constant(bound)?.checked_add(1)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{Encoding, EndianSlice, Format, RunTimeEndian};

    const DWARF2: Encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 2 };

    fn block(bytes: &[u8]) -> Option<u64> {
        let value = AttributeValue::Block(EndianSlice::new(bytes, RunTimeEndian::Little));
        member_location(Some(&value), DWARF2)
    }

    #[test]
    fn locations_of_members() {
        assert_eq!(block(&[0x23, 0xc8, 0x01]), Some(200), "DW_OP_plus_uconst 200");
        assert_eq!(block(&[0x10, 0x08, 0x22]), Some(8), "DW_OP_constu 8, DW_OP_plus");
        assert_eq!(block(&[]), Some(0));
        assert_eq!(block(&[0x10, 0x08]), None, "not an offset");
        assert_eq!(block(&[0x06]), None, "DW_OP_deref: not at a fixed place");
        assert_eq!(block(&[0x23, 0x80]), None, "truncated");
        assert_eq!(member_location(None, DWARF2), Some(0));
        assert_eq!(member_location(Some(&AttributeValue::Data2(513)), DWARF2), Some(513));
        assert_eq!(member_location(Some(&AttributeValue::Sdata(-8)), DWARF2), None);
    }

    #[test]
    fn dimensions_of_arrays() {
        let value = AttributeValue::<Slice<'_>>::Data1;
        assert_eq!(dimension(None, Some(&value(31))), Some(32));
        assert_eq!(dimension(Some(&value(0)), None), Some(0));
        assert_eq!(dimension(None, None), None);
        assert_eq!(dimension(None, Some(&AttributeValue::Sdata(-1))), Some(0));
        assert_eq!(dimension(None, Some(&AttributeValue::Data8(u64::MAX))), Some(0));
        assert_eq!(dimension(None, Some(&AttributeValue::Data4(u32::MAX))), Some(0));
        assert_eq!(dimension(None, Some(&AttributeValue::Sdata(-5))), None);
    }
}
