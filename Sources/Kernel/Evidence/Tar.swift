/// Archives of plain files in the format of POSIX (ustar): what `tar` unpacks everywhere. The same files give the same bytes.
public enum Tar {
    public struct File: Sendable, Hashable {
        /// At most 100 bytes of ASCII.
        public let path: String
        public let bytes: [UInt8]
        public init(_ path: String, _ bytes: [UInt8]) {
            self.path = path
            self.bytes = bytes
        }
    }

    private static let block = 512

    public static func archive(_ files: [File]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(files.reduce(2 * block) { $0 + 2 * block + $1.bytes.count })
        for file in files.sorted(by: { $0.path < $1.path }) {
            precondition(file.path.utf8.count <= 100, "the path \(file.path) is too long for an archive")
            out += header(file)
            out += file.bytes
            let rest = file.bytes.count % block
            if rest > 0 { out += [UInt8](repeating: 0, count: block - rest) }
        }
        return out + [UInt8](repeating: 0, count: 2 * block)
    }

    /// Owned by nobody, of no time, readable by all.
    private static func header(_ file: File) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: block)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        put(file.path, at: 0)
        put("0000644", at: 100)
        put("0000000", at: 108)
        put("0000000", at: 116)
        put(octal(file.bytes.count, 11), at: 124)
        put(octal(0, 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6), at: 148)
        header[154] = 0
        header[155] = UInt8(ascii: " ")
        return header
    }

    private static func octal(_ value: Int, _ width: Int) -> String {
        let digits = String(value, radix: 8)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The files of an archive, in its order.
    /// - Throws: `NoteError` when it is anything else than plain files.
    public static func files(in archive: [UInt8]) throws(NoteError) -> [File] {
        var files: [File] = []
        var at = 0
        while at + block <= archive.count {
            let header = archive[at..<at + block]
            guard header.contains(where: { $0 != 0 }) else { return files }
            let fields = Array(header)
            func text(_ range: Range<Int>) -> String {
                String(decoding: fields[range].prefix { $0 != 0 }, as: UTF8.self)
            }
            func number(_ range: Range<Int>) -> Int? {
                Int(text(range).filter { $0 != " " }, radix: 8)
            }
            var plain = fields
            for index in 148..<156 { plain[index] = UInt8(ascii: " ") }
            guard let sum = number(148..<156), sum == plain.reduce(0, { $0 + Int($1) }) else {
                throw NoteError("The archive is damaged: a header's sum is wrong.")
            }
            let path = text(0..<100)
            guard fields[156] == UInt8(ascii: "0") || fields[156] == 0, text(345..<500).isEmpty, !path.isEmpty,
                !path.hasPrefix("/"), !path.split(separator: "/").contains("..")
            else { throw NoteError("The archive holds something that is no plain file.") }
            guard let size = number(124..<136), size >= 0, size <= archive.count - at - block else {
                throw NoteError("The archive is cut off.")
            }
            let start = at + block
            files.append(File(path, Array(archive[start..<start + size])))
            at = start + (size + block - 1) / block * block
        }
        throw NoteError("The archive is cut off.")
    }
}
