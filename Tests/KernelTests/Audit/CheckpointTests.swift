import Foundation
import Testing

@testable import Kernel

@Suite struct `Checkpoints and keys` {
    static let key = try! LogKey(name: "postern.example/log", seed: Array(repeating: 7, count: 32))
    static let checkpoint = Checkpoint(
        origin: "postern.example/log", size: 20_852_163, root: MerkleTree.leafHash(Array("x".utf8)))

    @Test func `a note of the reference implementation verifies, and its key has the published form`() throws {
        // From the documentation of golang.org/x/mod/sumdb/note.
        let key = try VerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        #expect(key.text == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        let note = """
            If you think cryptography is the answer to your problem,
            then you don't know what your problem is.

            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

            """
        let signed = try SignedNote(parsing: note)
        try signed.verify(by: key)
        #expect(signed.encoded == note)
    }

    @Test func `what is signed verifies and reads back`() throws {
        let note = try Self.checkpoint.signed(by: Self.key)
        #expect(try Checkpoint(note: note, key: Self.key.verifier) == Self.checkpoint)
        #expect(try VerifierKey(Self.key.verifier.text) == Self.key.verifier)
        #expect(note.hasPrefix("postern.example/log\n20852163\n"))
    }

    @Test func `no byte of a checkpoint can be changed`() throws {
        let note = Array(try Self.checkpoint.signed(by: Self.key).utf8)
        var generator = SystemRandomNumberGenerator()
        for position in note.indices {
            var changed = note
            changed[position] ^= UInt8(1) << UInt8.random(in: 0..<7, using: &generator)
            guard let text = String(validating: changed, as: UTF8.self) else { continue }
            #expect(throws: NoteError.self, "byte \(position)") { try Checkpoint(note: text, key: Self.key.verifier) }
        }
        for length in note.indices {
            guard let text = String(validating: note[..<length], as: UTF8.self) else { continue }
            #expect(throws: NoteError.self, "cut at \(length)") { try Checkpoint(note: text, key: Self.key.verifier) }
        }
    }

    @Test func `random notes are refused or survive being written again`() throws {
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "\n", "\n\n", "\u{2014} ", "postern.example/log", " ", "1", "0", "AAAA", "+", "\u{2014} a ", "QUJDREVGRw==",
            "\r", "\0",
            "é", String(try Self.checkpoint.signed(by: Self.key)),
        ]
        var accepted = 0
        for _ in 0..<4000 {
            let text = (0..<Int.random(in: 0..<12, using: &generator)).map { _ in
                pieces.randomElement(using: &generator)!
            }
            .joined()
            if let note = try? SignedNote(parsing: text) {
                accepted += 1
                #expect(Array(note.encoded.utf8) == Array(text.utf8))
                _ = try? Checkpoint(text: note.text)
            }
        }
        #expect(accepted > 0)
    }

    @Test(arguments: [
        "log\n1\n", "log\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "log\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "log\n1\n47DEQpj8HBSa\n",
        "log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "log\n9223372036854775808\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n",
        "log\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    ])
    func `a malformed checkpoint is refused`(text: String) {
        #expect(throws: NoteError.self) { try Checkpoint(text: text) }
    }

    @Test func `another key, another log and a foreign signature are told apart`() throws {
        let other = try LogKey.generate(name: Self.key.name)
        let note = try Self.checkpoint.signed(by: Self.key)
        #expect(throws: NoteError.self) { try Checkpoint(note: note, key: other.verifier) }
        let elsewhere = Checkpoint(origin: "another/log", size: 1, root: MerkleTree.leafHash([]))
        #expect(throws: NoteError.self) {
            try Checkpoint(note: try elsewhere.signed(by: Self.key), key: Self.key.verifier)
        }
        // A witness's signature beside ours does not disturb.
        let witness = try LogKey.generate(name: "witness.example")
        let signed = try SignedNote(parsing: note)
        let both = SignedNote(text: signed.text, signatures: [try witness.sign(signed.text)] + signed.signatures)
        #expect(try Checkpoint(note: both.encoded, key: Self.key.verifier) == Self.checkpoint)
    }

    @Test func `a key is made once, kept private, and refused when others may read it`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "postern-key-\(SecureRandom.bytes(6).hex)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("log.key").path
        let made = try LogKey.loadOrMake(path: path, name: "postern.example/log")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try LogKey.loadOrMake(path: path, name: "postern.example/log").verifier == made.verifier)
        #expect(throws: NoteError.self) { try LogKey.loadOrMake(path: path, name: "another/log") }
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        #expect(throws: NoteError.self) { try LogKey.loadOrMake(path: path, name: "postern.example/log") }
        #expect(throws: NoteError.self) { try LogKey(parsing: "PRIVATE+KEY+a+00000000+AQ==") }
    }
}
