import Credentials
import Foundation
import Kernel
import TestSupport
import Testing

@Suite struct StaffCredentialsTests {
    let hasher = try! Argon2idHasher(.cheap)

    @Test func `a hash is a PHC string with the parameters it was made with`() async throws {
        let hash = try await hasher.hash("plum tractor vivid")
        #expect(hash.hasPrefix("$argon2id$v=19$m=8,t=1,p=1$"))
        #expect(try await hasher.verify("plum tractor vivid", against: hash))
        #expect(try await !hasher.verify("plum tractor vivie", against: hash))
        #expect(try await hasher.hash("plum tractor vivid") != hash)
    }

    @Test func `the standard cost is 19 MiB, two passes, one lane`() async throws {
        let hash = try await Argon2idHasher().hash("x")
        #expect(hash.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"))
    }

    @Test func `a hash of another program is read`() async throws {
        // A vector of the reference implementation (phc-winner-argon2, src/test.c): salt "somesalt".
        let known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        #expect(try await hasher.verify("password", against: known))
        #expect(try await !hasher.verify("passwore", against: known))
    }

    @Test func `a hash that can't be read is an error, not a wrong password`() async throws {
        let error = await failure { _ = try await hasher.verify("x", against: "$argon2id$nonsense") }
        #expect(error != nil)
    }

    @Test func `a full queue answers too many requests`() async throws {
        let small = try Argon2idHasher(.init(memoryKiB: 19_456, passes: 2, lanes: 1), queue: 1)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    let error = await failure { _ = try await small.hash("x") }
                    #expect(error == nil || error?.wait != nil)
                    return error == nil
                }
            }
            return await group.reduce(into: (done: 0, refused: 0)) { counts, done in
                if done { counts.done += 1 } else { counts.refused += 1 }
            }
        }
        #expect(outcomes.done >= 3)
        #expect(outcomes.refused >= 1)
        #expect(outcomes.done + outcomes.refused == 20)
        // The queue is free again.
        _ = try await small.hash("x")
    }

    @Test func `a QR code has the three finder patterns and only safe path letters`() throws {
        let code = try QRCode("otpauth://totp/Postern:ann%40example.com?secret=GEZDGNBVGY3TQOJQ&issuer=Postern")
        #expect(code.size >= 21 && (code.size - 17) % 4 == 0)
        func finder(_ x: Int, _ y: Int) -> Bool {
            (0..<7).allSatisfy { dy in
                (0..<7).allSatisfy { dx in
                    let ring = max(abs(dx - 3), abs(dy - 3))
                    return code.modules[(y + dy) * code.size + x + dx] == (ring != 2)
                }
            }
        }
        #expect(finder(0, 0))
        #expect(finder(code.size - 7, 0))
        #expect(finder(0, code.size - 7))
        #expect(code.path.allSatisfy { "Mhvz 0123456789-".contains($0) })
        #expect(code.svg(label: "a <\"b\">").contains("aria-label=\"a &lt;&quot;b&quot;>\""))
    }
}
