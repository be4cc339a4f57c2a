//! The metadata text that the kernel keeps of each session.

use super::model::Metadata;
use super::walk::Kernel;
use crate::mirror::{Image, Mirror};
use crate::{Cause, Hole, Member, ReadErrorKind, VirtAddr};

/// Longest text that is believed; statements of a kernel with all its events take some 300 KiB.
const MAX_TEXT: u64 = 64 << 20;

/// Reads the cache at `addr` of the session of identity `uuid`.
pub(crate) fn read(kernel: &Kernel<'_>, addr: VirtAddr, uuid: Option<[u8; 16]>) -> Result<Metadata, Cause> {
    let missing = || Cause::MissingType { name: "struct lttng_metadata_cache".into() };
    let shape = kernel.types.cache.as_ref().ok_or_else(missing)?;
    let image = shape.read(kernel.target, addr)?;
    let written = image.uint(&shape.written)?;
    let allocated = image.uint(&shape.allocated)?;
    if written > allocated || written > MAX_TEXT {
        let text = format!("{written:#x} bytes of metadata in a cache of {allocated:#x}");
        return Err(Cause::Implausible(text));
    }
    let own = shape.uuid.as_ref().and_then(|member| uuid_of(kernel, &image, member));
    if let (Some(own), Some(uuid)) = (own, uuid)
        && own != uuid
    {
        return Err(Cause::Implausible("cache of metadata and session have different identities".into()));
    }
    let (text, holes) = text(kernel, image.pointer(&shape.data)?, written)?;
    Ok(Metadata {
        address: addr,
        text,
        holes,
        version: image.maybe(shape.version.as_ref()),
        producing: image.maybe(shape.producing.as_ref()).unwrap_or(0) != 0,
    })
}

/// Identity in a member of 16 bytes.
pub(crate) fn uuid_of(kernel: &Kernel<'_>, image: &Image, member: &Member) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    kernel.target.read_virt(image.address_of(member), &mut uuid).ok()?;
    Some(uuid)
}

/// The text, page by page, so that no page costs more than itself.
fn text(kernel: &Kernel<'_>, addr: VirtAddr, len: u64) -> Result<(Vec<u8>, Vec<Hole>), Cause> {
    let page = kernel.target.page_size().max(1);
    let mut text = Vec::new();
    let mut holes: Vec<Hole> = Vec::new();
    let mut at = 0;
    let mut any = len == 0;
    let mut first_error = None;
    while at < len {
        let step = (page - addr.offset(at).0 % page).min(len - at);
        let start = text.len();
        text.resize(start + usize::try_from(step).unwrap_or(0), 0);
        let piece = text.get_mut(start..).unwrap_or_default();
        match kernel.target.read_virt(addr.offset(at), piece) {
            Ok(()) => any = true,
            Err(error) => {
                piece.fill(0);
                first_error.get_or_insert(error);
                let zero_filled = error.kind == ReadErrorKind::Excluded;
                holes.push(Hole { range: at..at + step, error: Some(error), zero_filled });
            }
        }
        at += step;
    }
    match first_error {
        Some(error) if !any => Err(error.into()),
        _ => Ok((text, holes)),
    }
}
