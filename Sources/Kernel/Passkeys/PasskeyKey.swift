/// The public key of a passkey, as the authenticator wrote it: a COSE_Key (RFC 9053).
public struct PasskeyKey: Sendable, Hashable {
    /// COSE algorithms that are taken; the first is preferred.
    public enum Algorithm: Int64, Sendable, CaseIterable {
        case es256 = -7
        case eddsa = -8
        case rs256 = -257

        public var name: String {
            switch self {
            case .es256: "ES256"
            case .eddsa: "EdDSA"
            case .rs256: "RS256"
            }
        }
    }

    public let algorithm: Algorithm
    /// The COSE_Key, byte for byte.
    public let cose: [UInt8]
    /// ES256: x ‖ y, EdDSA: the point, RS256: a modulus of 256 bytes ‖ an exponent of 3.
    public let raw: [UInt8]

    public init(cose: [UInt8]) throws(PasskeyRefusal) {
        var reader = CBORReader(cose)
        let members: [Int64: CBORReader.Value]
        do {
            members = try Self.members(&reader)
        } catch {
            throw .malformed("its public key can't be read")
        }
        guard reader.isAtEnd else { throw .malformed("its public key has something behind it") }
        guard case .int(let code)? = members[3] else { throw .malformed("its public key names no algorithm") }
        guard let algorithm = Algorithm(rawValue: code) else { throw .algorithm(code) }
        func bytes(_ label: Int64, _ count: Int) throws(PasskeyRefusal) -> [UInt8] {
            guard case .bytes(let bytes)? = members[label], bytes.count == count else {
                throw .malformed("its \(algorithm.name) key is not of the size it must have")
            }
            return bytes
        }
        /// Key type and, where there is one, the curve.
        func expect(type: Int64, curve: Int64?) throws(PasskeyRefusal) {
            guard members[1] == .int(type), curve == nil || members[-1] == curve.map(CBORReader.Value.int) else {
                throw .malformed("its key is not of the kind \(algorithm.name) uses")
            }
        }
        switch algorithm {
        case .es256:
            try expect(type: 2, curve: 1)
            raw = try bytes(-2, 32) + bytes(-3, 32)
        case .eddsa:
            try expect(type: 1, curve: 6)
            raw = try bytes(-2, 32)
        case .rs256:
            try expect(type: 3, curve: nil)
            raw = try bytes(-1, 256) + bytes(-2, 3)
        }
        self.algorithm = algorithm
        self.cose = cose
    }

    private static func members(_ reader: inout CBORReader) throws(CBORReader.Malformed) -> [Int64: CBORReader.Value] {
        var members: [Int64: CBORReader.Value] = [:]
        for _ in 0..<(try reader.map()) {
            guard case .int(let label) = try reader.value() else { throw CBORReader.Malformed() }
            guard members.updateValue(try reader.value(), forKey: label) == nil else { throw CBORReader.Malformed() }
        }
        return members
    }
}
