//! The bytes of a file as UTF-8, whatever they were.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use encoding_rs::{Decoder, WINDOWS_1252};

use crate::config::TextEncoding;

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// A file as UTF-8 text, or at least as bytes that ought to be.
pub(crate) struct Text<'a> {
    pub(crate) bytes: Box<dyn BufRead + 'a>,
    /// The mark with which the file began.
    pub(crate) mark: Option<Mark>,
}

/// A byte-order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Utf8,
    /// The file cannot be read as it is.
    Utf16,
}

/// Takes the byte-order mark off, and turns another encoding into UTF-8.
pub(crate) fn decode<'a>(mut input: Box<dyn Read + 'a>, encoding: TextEncoding) -> io::Result<Text<'a>> {
    let mut start = Vec::with_capacity(3);
    input.by_ref().take(3).read_to_end(&mut start)?;
    let mark = match start.as_slice() {
        [0xEF, 0xBB, 0xBF] => Some(Mark::Utf8),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some(Mark::Utf16),
        _ => None,
    };
    if mark == Some(Mark::Utf8) {
        // The mark is proof; a source that declares another encoding is mistaken about this file.
        return Ok(Text { bytes: Box::new(BufReader::with_capacity(BUFFER, input)), mark });
    }
    let whole = Cursor::new(start).chain(input);
    let bytes: Box<dyn BufRead + 'a> = match encoding {
        TextEncoding::Utf8 => Box::new(BufReader::with_capacity(BUFFER, whole)),
        TextEncoding::Windows1252 => Box::new(BufReader::with_capacity(BUFFER, Transcoder::new(whole))),
    };
    Ok(Text { bytes, mark })
}

/// Reads windows-1252 and gives UTF-8.
struct Transcoder<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    decoded: Vec<u8>,
    decoded_from: usize,
    decoded_to: usize,
}

impl<R: Read> Transcoder<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            decoder: WINDOWS_1252.new_decoder_without_bom_handling(),
            raw: vec![0; BUFFER],
            // A byte of windows-1252 becomes three of UTF-8 at most, so what is read always fits.
            decoded: vec![0; 3 * BUFFER],
            decoded_from: 0,
            decoded_to: 0,
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.decoded_from == self.decoded_to {
            let read = self.input.read(&mut self.raw)?;
            let (_, _, written, _) = self.decoder.decode_to_utf8(&self.raw[..read], &mut self.decoded, read == 0);
            self.decoded_from = 0;
            self.decoded_to = written;
        }
        let decoded = &self.decoded[self.decoded_from..self.decoded_to];
        let length = decoded.len().min(output.len());
        output[..length].copy_from_slice(&decoded[..length]);
        self.decoded_from += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], encoding: TextEncoding) -> (String, Option<Mark>) {
        let mut text = decode(Box::new(bytes), encoding).unwrap();
        let mut all = String::new();
        text.bytes.read_to_string(&mut all).unwrap();
        (all, text.mark)
    }

    #[test]
    fn a_byte_order_mark_is_taken_off() {
        assert_eq!(read("\u{feff}a,b".as_bytes(), TextEncoding::Utf8), ("a,b".to_owned(), Some(Mark::Utf8)));
        assert_eq!(read("\u{feff}é".as_bytes(), TextEncoding::Windows1252), ("é".to_owned(), Some(Mark::Utf8)));
        assert_eq!(read(b"a", TextEncoding::Utf8), ("a".to_owned(), None));
    }

    #[test]
    fn windows_1252_becomes_utf_8() {
        assert_eq!(read(b"Zo\xEB \x80", TextEncoding::Windows1252), ("Zoë €".to_owned(), None));
        let long = vec![b'\xE9'; 3 * BUFFER];
        assert_eq!(read(&long, TextEncoding::Windows1252).0, "é".repeat(3 * BUFFER));
    }

    #[test]
    fn utf_16_is_recognised() {
        let mut text = decode(Box::new(&b"\xFF\xFEa\0"[..]), TextEncoding::Utf8).unwrap();
        assert_eq!(text.mark, Some(Mark::Utf16));
        assert_eq!(text.bytes.fill_buf().unwrap().len(), 3);
    }
}
