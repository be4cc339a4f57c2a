//! One session: its structure, and what tells it from anything else.

use super::metadata;
use super::model::Metadata;
use super::walk::Kernel;
use crate::list;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::{Cause, Damage, VirtAddr};

/// A session structure that has been read.
#[derive(Clone, Debug)]
pub(crate) struct SessionInfo {
    /// The private half since 2.13.
    pub(crate) addr: VirtAddr,
    /// The public half, where there is one.
    pub(crate) public: Option<VirtAddr>,
    pub(crate) name: Vec<u8>,
    pub(crate) creation_time: Vec<u8>,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) active: bool,
    pub(crate) been_active: Option<bool>,
    pub(crate) output_format: u64,
    /// Links of its channels.
    pub(crate) channels: Vec<VirtAddr>,
    /// Where the list of channels is broken.
    pub(crate) broken: Option<(VirtAddr, Cause)>,
    image: Image,
}

/// Channels that a session may have.
const MAX_CHANNELS: usize = 4096;

impl SessionInfo {
    /// Reads the session at `addr`.
    ///
    /// Errors: unreadable, or its halves do not point to each other.
    pub(crate) fn read(kernel: &Kernel<'_>, addr: VirtAddr) -> Result<SessionInfo, Cause> {
        let shape = &kernel.types.session;
        if !memory::is_kernel(kernel.target.abi(), addr) {
            return Err(Cause::Implausible("session is at no kernel address".into()));
        }
        let image = shape.read(kernel.target, addr)?;
        let public = image.maybe_pointer(shape.public.as_ref());
        let active = match (&kernel.types.session_public, &shape.public) {
            (Some(half), Some(_)) => {
                let none = || Cause::Implausible("session has no public half".into());
                let half_image = half.read(kernel.target, public.ok_or_else(none)?)?;
                let back = half_image.pointer(&half.private)?;
                if back != addr {
                    let text = format!("public half of the session points back to {back:#x}");
                    return Err(Cause::Implausible(text));
                }
                half_image.uint(&half.active)?
            }
            _ => image.maybe(shape.active.as_ref()).unwrap_or(0),
        };
        if active > 1 {
            return Err(Cause::Implausible(format!("{active:#x} is no state of a session")));
        }
        let nodes = list::walk(kernel.target, image.address_of(&shape.channels), MAX_CHANNELS);
        let text = |member: &Option<crate::Member>| {
            member.as_ref().map(|member| image.text(member)).unwrap_or_default()
        };
        Ok(SessionInfo {
            addr,
            public,
            name: text(&shape.name),
            creation_time: text(&shape.creation_time),
            uuid: shape.uuid.as_ref().and_then(|member| metadata::uuid_of(kernel, &image, member)),
            active: active != 0,
            been_active: image.maybe(shape.been_active.as_ref()).map(|been| been != 0),
            output_format: image.maybe(shape.output_format.as_ref()).unwrap_or(1),
            channels: nodes.addrs,
            broken: nodes.broken,
            image,
        })
    }

    /// The session that a pointer of another object means: either half will do.
    pub(crate) fn of_pointer(kernel: &Kernel<'_>, pointer: VirtAddr) -> Result<SessionInfo, Cause> {
        if let (Some(half), Some(_)) = (&kernel.types.session_public, &kernel.types.session.public)
            && let Ok(image) = half.read(kernel.target, pointer)
            && let Ok(private) = image.pointer(&half.private)
            && let Ok(session) = SessionInfo::read(kernel, private)
        {
            return Ok(session);
        }
        SessionInfo::read(kernel, pointer)
    }

    /// Whether a session that was only guessed is one: its list of channels is whole, its identity is not nothing, and what it
    /// says of its metadata agrees.
    pub(crate) fn is_plausible(&self, kernel: &Kernel<'_>) -> bool {
        let identified = self.uuid.is_none_or(|uuid| uuid != [0; 16]);
        let metadata = match self.cache(kernel) {
            Some(cache) => metadata::read(kernel, cache, self.uuid).is_ok(),
            None => kernel.types.session.cache.is_none(),
        };
        self.broken.is_none() && identified && metadata
    }

    /// The metadata text, since 2.3.
    pub(crate) fn metadata(&self, kernel: &Kernel<'_>) -> Result<Option<Metadata>, Damage> {
        let Some(cache) = self.cache(kernel) else { return Ok(None) };
        let fail = |cause| Damage::new("metadata", cache, cause);
        metadata::read(kernel, cache, self.uuid).map(Some).map_err(fail)
    }

    /// The channel that carries metadata, up to 2.2.
    pub(crate) fn metadata_channel(&self, kernel: &Kernel<'_>) -> Option<VirtAddr> {
        self.image.maybe_pointer(kernel.types.session.metadata.as_ref())
    }

    fn cache(&self, kernel: &Kernel<'_>) -> Option<VirtAddr> {
        self.image.maybe_pointer(kernel.types.session.cache.as_ref())
    }
}
