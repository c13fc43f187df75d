import Kernel

extension JSON {
    /// The value with two spaces of indentation, members sorted by name and a line feed at the end: for documents
    /// people read and compare. Never hashed.
    var prettyBytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(64 << 10)
        append(to: &out, indentation: 0)
        out.append(0x0A)
        return out
    }

    private func append(to out: inout [UInt8], indentation: Int) {
        func line(_ depth: Int) {
            out.append(0x0A)
            out.append(contentsOf: repeatElement(0x20, count: depth * 2))
        }
        switch self {
        case .array(let elements) where !elements.isEmpty:
            out.append(UInt8(ascii: "["))
            for (offset, element) in elements.enumerated() {
                if offset > 0 { out.append(UInt8(ascii: ",")) }
                line(indentation + 1)
                element.append(to: &out, indentation: indentation + 1)
            }
            line(indentation)
            out.append(UInt8(ascii: "]"))
        case .object(let members) where !members.isEmpty:
            out.append(UInt8(ascii: "{"))
            for (offset, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if offset > 0 { out.append(UInt8(ascii: ",")) }
                line(indentation + 1)
                out.append(contentsOf: JSON.string(member.key).canonical)
                out.append(contentsOf: ": ".utf8)
                member.value.append(to: &out, indentation: indentation + 1)
            }
            line(indentation)
            out.append(UInt8(ascii: "}"))
        default: out.append(contentsOf: canonical)
        }
    }
}
