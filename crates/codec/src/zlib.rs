//! Deflate in its two wrappings, by one of two libraries: libdeflate, which is the fastest and in C, or with the feature `pure-rust`
//! zlib-rs.

pub(crate) use library::{Deflater, Inflater};

/// Why a stream has no content of the wanted length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Damaged or cut.
    Invalid,
    /// The content is longer than the room for it.
    TooLong,
}

#[cfg(not(feature = "pure-rust"))]
mod library {
    use super::Failure;
    use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor};

    /// Decodes; reused, because it has tables.
    pub(crate) struct Inflater(Decompressor);

    impl Inflater {
        pub(crate) fn new() -> Inflater {
            Inflater(Decompressor::new())
        }

        /// A zlib stream. The length of the content; what follows the stream is ignored.
        pub(crate) fn zlib(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, Failure> {
            self.0.zlib_decompress(src, dst).map_err(failure)
        }

        /// The first member of a gzip file.
        pub(crate) fn gzip(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, Failure> {
            self.0.gzip_decompress(src, dst).map_err(failure)
        }
    }

    fn failure(error: DecompressionError) -> Failure {
        match error {
            DecompressionError::BadData => Failure::Invalid,
            DecompressionError::InsufficientSpace => Failure::TooLong,
        }
    }

    /// Encodes.
    pub(crate) struct Deflater(Compressor);

    impl Deflater {
        pub(crate) fn new() -> Deflater {
            // The library's `fastest` is level 0, which does not compress at all.
            Deflater(Compressor::new(CompressionLvl::default()))
        }

        /// The length of the zlib stream, if there is room for it.
        pub(crate) fn zlib(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
            self.0.zlib_compress(src, dst).ok()
        }
    }
}

#[cfg(feature = "pure-rust")]
mod library {
    use super::Failure;
    use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

    /// Log2 of the window, and what is added to it for gzip.
    const WINDOW: u8 = 15;
    const GZIP: u8 = 16;

    /// Decodes; reused, because it has a window.
    pub(crate) struct Inflater(Inflate);

    impl Inflater {
        pub(crate) fn new() -> Inflater {
            Inflater(Inflate::new(true, WINDOW))
        }

        /// A zlib stream. The length of the content; what follows the stream is ignored.
        pub(crate) fn zlib(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, Failure> {
            self.0.reset(true);
            decode(&mut self.0, src, dst)
        }

        /// The first member of a gzip file.
        pub(crate) fn gzip(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, Failure> {
            decode(&mut Inflate::new(true, WINDOW + GZIP), src, dst)
        }
    }

    /// The library takes 4 GiB at a time.
    fn decode(stream: &mut Inflate, src: &[u8], dst: &mut [u8]) -> Result<usize, Failure> {
        loop {
            let position = |total: u64| usize::try_from(total).unwrap_or(usize::MAX);
            let (before_in, before_out) = (position(stream.total_in()), position(stream.total_out()));
            let from = src.get(before_in..).unwrap_or_default();
            let to = dst.get_mut(before_out..).unwrap_or_default();
            let status = stream.decompress(from, to, InflateFlush::NoFlush).map_err(|_| Failure::Invalid)?;
            let (taken, given) = (position(stream.total_in()), position(stream.total_out()));
            if status == Status::StreamEnd {
                return Ok(given);
            }
            if (before_in, before_out) == (taken, given) {
                let is_full = given == dst.len() && taken < src.len();
                return Err(if is_full { Failure::TooLong } else { Failure::Invalid });
            }
        }
    }

    /// Encodes.
    pub(crate) struct Deflater(Deflate);

    impl Deflater {
        pub(crate) fn new() -> Deflater {
            Deflater(Deflate::new(6, true, WINDOW))
        }

        /// The length of the zlib stream, if there is room for it.
        pub(crate) fn zlib(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
            self.0.reset();
            match self.0.compress(src, dst, DeflateFlush::Finish) {
                Ok(Status::StreamEnd) => usize::try_from(self.0.total_out()).ok(),
                _ => None,
            }
        }
    }
}
