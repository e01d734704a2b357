//! The envelopes that requests and responses travel in: sealing and opening, in place. `docs/protocol.md` sections 3
//! and 4. Opened data replaces the datagram, so datagrams with secrets in them are opened in secret memory
//! ([`rke_secret::scoped`]).

mod counter;
mod key;

use rke_secret::{SecretBuffer, SecretError, scoped};
use subtle::ConstantTimeEq;

pub use self::counter::Counter;
pub use self::key::EnvelopeKey;
use crate::challenge::CHALLENGE_LEN;
use crate::cipher::BLOCK_LEN;
use crate::cursor::DecodeError;
pub use crate::header::Envelope;
use crate::header::{NONCE_LEN, RequestHeader, ResponseForm, ResponseHeader, SHORT_HEADER_LEN, TRAILER};
use crate::{Challenge, RaidaIndex, Status};

/// The fields of a request's `RequestHeader` that the caller chooses.
pub struct RequestParts {
    /// The RAIDA that receives it.
    pub raida: RaidaIndex,
    /// Command group and command.
    pub command: (u8, u8),
    pub envelope: Envelope,
    /// 24 random bytes, never used before under the same key.
    pub random: [u8; NONCE_LEN],
}

/// Longest body that is sealed on the scratch stack.
const SHORT_BODY_LEN: usize = 256;

/// Writes ciphertext and tail to `out`. The body is written and encrypted in secret memory.
fn seal_body(
    key: &EnvelopeKey,
    counter_block: &[u8; BLOCK_LEN],
    body_len: usize,
    write_body: impl FnOnce(&mut [u8]),
    out: &mut [u8],
) -> Result<(), SecretError> {
    let (ciphertext, tail) = out.split_at_mut(body_len);
    let seal = |body: &mut [u8]| {
        write_body(body);
        key.apply(counter_block, body);
        ciphertext.copy_from_slice(body);
    };
    if body_len <= SHORT_BODY_LEN {
        scoped(|| seal(&mut [0; SHORT_BODY_LEN][..body_len]))?;
    } else {
        SecretBuffer::new(body_len)?.expose_mut(|buffer| seal(&mut buffer[..body_len]));
    }
    key.write_tail(ciphertext, tail);
    Ok(())
}

/// An unsealed request: its header, and a datagram that consists of the header and zeros for a body of `body_len`
/// bytes.
pub fn unsealed_request(parts: &RequestParts, body_len: usize) -> (RequestHeader, Vec<u8>) {
    let envelope = parts.envelope;
    let wire_len = body_len + envelope.tail_len();
    let header =
        RequestHeader::new(parts.raida.get(), parts.command, envelope, wire_len as u16, parts.random);
    let mut datagram = vec![0; envelope.header_len() + wire_len];
    header.write(&mut datagram);
    (header, datagram)
}

/// Seals a request, once. `write_body` writes the body in place, in secret memory, before it is encrypted.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn seal_request(
    header: &RequestHeader,
    key: &EnvelopeKey,
    datagram: &mut [u8],
    write_body: impl FnOnce(&mut [u8]),
) -> Result<(), SecretError> {
    let out = &mut datagram[header.envelope.header_len()..];
    let body_len = out.len() - header.envelope.tail_len();
    seal_body(key, &header.counter_block(), body_len, write_body, out)
}

/// Checks that a request's length fits its header and that it ends in the trailer.
///
/// # Errors
/// The status to refuse it with.
pub fn check_request_frame(header: &RequestHeader, datagram: &[u8]) -> Result<(), Status> {
    let header_len = header.envelope.header_len();
    let long_enough = usize::from(header.body_len) >= header.envelope.tail_len();
    if !long_enough || datagram.len() != header_len + usize::from(header.body_len) {
        return Err(Status::BAD_LENGTH);
    }
    if !datagram.ends_with(&TRAILER) {
        return Err(Status::BAD_TRAILER);
    }
    Ok(())
}

/// Opens a request whose frame has been checked: the body, decrypted in place.
///
/// # Errors
/// [`Status::BAD_LENGTH`] or [`Status::BAD_HMAC`].
pub fn open_request<'a>(
    header: &RequestHeader,
    key: &EnvelopeKey,
    datagram: &'a mut [u8],
) -> Result<&'a mut [u8], Status> {
    let tail_len = header.envelope.tail_len();
    let sealed = datagram.get_mut(header.envelope.header_len()..).ok_or(Status::BAD_LENGTH)?;
    let body_len = sealed.len().checked_sub(tail_len).ok_or(Status::BAD_LENGTH)?;
    let (body, tail) = sealed.split_at_mut(body_len);
    if !key.tail_matches(body, tail) {
        return Err(Status::BAD_HMAC);
    }
    key.apply(&header.counter_block(), body);
    Ok(body)
}

/// A RAIDA's response to a request, without the payload.
pub struct ResponseParts {
    /// The RAIDA that responds.
    pub raida: RaidaIndex,
    /// Its verdict.
    pub status: Status,
    /// The 16 bytes at the start of the request's body, if they could be read.
    pub challenge: Option<[u8; CHALLENGE_LEN]>,
    /// Time that the response took, in microseconds.
    pub execution_micros: u32,
    /// 24 random bytes (types 4 and 5).
    pub random: [u8; NONCE_LEN],
}

/// A sealed response. `write_payload` writes the `payload_len` bytes of the payload in place, in secret memory,
/// before they are encrypted; without a payload the response has no body.
///
/// # Errors
/// [`SecretError`], if secret memory is full; never without a payload.
pub fn seal_response(
    to: &RequestHeader,
    key: &EnvelopeKey,
    parts: &ResponseParts,
    payload_len: usize,
    write_payload: impl FnOnce(&mut [u8]),
) -> Result<Vec<u8>, SecretError> {
    seal_response_in(Counter::Continues, to, key, parts, payload_len, write_payload)
}

/// As [`seal_response`], in envelope 1 in either form.
///
/// # Errors
/// As [`seal_response`].
pub fn seal_response_in(
    counter: Counter,
    to: &RequestHeader,
    key: &EnvelopeKey,
    parts: &ResponseParts,
    payload_len: usize,
    write_payload: impl FnOnce(&mut [u8]),
) -> Result<Vec<u8>, SecretError> {
    let wire_len = if payload_len == 0 { 0 } else { payload_len + to.envelope.tail_len() };
    let (form, counter_block) = response_form(counter, to, key, parts);
    let header = ResponseHeader {
        raida: parts.raida.get(),
        status: parts.status.0,
        group: to.group,
        execution_micros: parts.execution_micros,
        body_len: wire_len as u32,
        echo: to.echo(),
        form,
    };
    let mut datagram = vec![0; to.envelope.header_len() + wire_len];
    header.write(&mut datagram);
    if payload_len > 0 {
        let out = &mut datagram[to.envelope.header_len()..];
        seal_body(key, &counter_block, payload_len, write_payload, out)?;
    }
    Ok(datagram)
}

/// Refuses a request in an envelope that does not exist, in the form of type 0.
pub fn refuse_unknown_envelope(raida: RaidaIndex, group: u8, echo: [u8; 2], status: Status) -> Vec<u8> {
    let header = ResponseHeader {
        raida: raida.get(),
        status: status.0,
        group,
        execution_micros: 0,
        body_len: 0,
        echo,
        form: ResponseForm::Short { signature: [0; CHALLENGE_LEN] },
    };
    let mut datagram = vec![0; SHORT_HEADER_LEN];
    header.write(&mut datagram);
    datagram
}

fn response_form(
    counter: Counter,
    to: &RequestHeader,
    key: &EnvelopeKey,
    parts: &ResponseParts,
) -> (ResponseForm, [u8; BLOCK_LEN]) {
    match to.envelope {
        Envelope::Type0 | Envelope::Type1(_) => {
            // A type 1 refusal without the AN cannot be signed: `key` is then None.
            let signable = matches!((to.envelope, key), (Envelope::Type0, _) | (_, EnvelopeKey::Aes128(_)));
            let signature = parts.challenge.filter(|_| signable).map(|bytes| key.signature(&bytes));
            (ResponseForm::Short { signature: signature.unwrap_or_default() }, counter.first_block(to))
        }
        Envelope::Type4(coin) | Envelope::Type5(coin, _) => {
            let mut nonce = parts.random;
            if let Envelope::Type5(_, second) = to.envelope {
                nonce[..5].copy_from_slice(&second.to_bytes());
            }
            let form = ResponseForm::Long { wire_type: to.envelope.wire_type(), coin, nonce };
            (form, first_block(&nonce))
        }
    }
}

fn first_block(nonce: &[u8; NONCE_LEN]) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    block.copy_from_slice(&nonce[..BLOCK_LEN]);
    block
}

/// A response, verified as far as its envelope allows.
pub struct Response<'a> {
    /// The RAIDA's verdict.
    pub status: Status,
    /// The payload, decrypted in place; empty if the response has none.
    pub payload: &'a mut [u8],
}

/// Opens the response to the request with the header `to`: verifies index, echo, length, coins, signature or HMAC,
/// then decrypts in place. A response without a body carries no HMAC in types 4 and 5: its status is a hint, not a
/// proof.
///
/// # Errors
/// [`DecodeError`]: the datagram is to be ignored.
pub fn open_response<'a>(
    to: &RequestHeader,
    challenge: &Challenge,
    key: &EnvelopeKey,
    datagram: &'a mut [u8],
) -> Result<Response<'a>, DecodeError> {
    open_response_in(Counter::Continues, to, challenge, key, datagram)
}

/// As [`open_response`], in envelope 1 in either form. In the wrong form the result is practically random.
///
/// # Errors
/// As [`open_response`].
pub fn open_response_in<'a>(
    counter: Counter,
    to: &RequestHeader,
    challenge: &Challenge,
    key: &EnvelopeKey,
    datagram: &'a mut [u8],
) -> Result<Response<'a>, DecodeError> {
    let header = ResponseHeader::decode(to.envelope, datagram)?;
    if header.raida != to.raida {
        return Err(DecodeError::Mismatch("the RAIDA index"));
    }
    if header.echo != to.echo() || header.group != to.group {
        return Err(DecodeError::Mismatch("the echo"));
    }
    let counter_block = verify_form(counter, to, challenge, key, &header.form)?;
    let body = &mut datagram[to.envelope.header_len()..];
    if body.len() != header.body_len as usize {
        return Err(DecodeError::Mismatch("the body length"));
    }
    let status = Status(header.status);
    if body.is_empty() {
        return Ok(Response { status, payload: body });
    }
    if !body.ends_with(&TRAILER) {
        return Err(DecodeError::Mismatch("the trailer"));
    }
    let payload_len = body.len().checked_sub(to.envelope.tail_len()).filter(|len| *len > 0);
    let payload_len = payload_len.ok_or(DecodeError::Mismatch("the body length"))?;
    let (payload, tail) = body.split_at_mut(payload_len);
    if !key.tail_matches(payload, tail) {
        return Err(DecodeError::Mismatch("the HMAC"));
    }
    key.apply(&counter_block, payload);
    Ok(Response { status, payload })
}

/// Checks what the form of the header proves, and returns the payload's counter block.
fn verify_form(
    counter: Counter,
    to: &RequestHeader,
    challenge: &Challenge,
    key: &EnvelopeKey,
    form: &ResponseForm,
) -> Result<[u8; BLOCK_LEN], DecodeError> {
    match form {
        ResponseForm::Short { signature } => {
            let matches: bool = key.signature(challenge.as_bytes()).ct_eq(signature).into();
            matches.then(|| counter.first_block(to)).ok_or(DecodeError::Mismatch("the signature"))
        }
        ResponseForm::Long { wire_type, coin, nonce } => {
            let (first, second) = match to.envelope {
                Envelope::Type5(first, second) => (first, Some(second)),
                Envelope::Type4(first) | Envelope::Type1(first) => (first, None),
                Envelope::Type0 => return Err(DecodeError::Mismatch("the envelope type")),
            };
            if *wire_type != to.envelope.wire_type() || *coin != first {
                return Err(DecodeError::Mismatch("the envelope type or coin"));
            }
            if second.is_some_and(|second| nonce[..5] != second.to_bytes()) {
                return Err(DecodeError::Mismatch("the second coin"));
            }
            Ok(first_block(nonce))
        }
    }
}
