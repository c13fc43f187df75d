import Foundation

/// The form in which names are sorted and searched: NFKC, case folded, whitespace squeezed.
public enum NameKey {
    public static func fold(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return foldASCII(text) }
        // Upper case first, so that "ß" meets "SS" and both sigmas meet: full case folding for what names hold.
        let folded = text.precomposedStringWithCompatibilityMapping.uppercased().lowercased()
        return folded.precomposedStringWithCompatibilityMapping.split(whereSeparator: \.isWhitespace).joined(
            separator: " ")
    }

    private static func foldASCII(_ text: String) -> String {
        String(unsafeUninitializedCapacity: text.utf8.count) { out in
            var end = 0
            var isBetween = false
            for byte in text.utf8 {
                if byte == 0x20 || (0x09...0x0D).contains(byte) {
                    isBetween = end > 0
                    continue
                }
                if isBetween {
                    out[end] = 0x20
                    end += 1
                    isBetween = false
                }
                out[end] = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
                end += 1
            }
            return end
        }
    }

    /// The smallest text after every text that starts with `prefix`, under byte order; `nil` when there is none. With it
    /// a prefix search is the range `>= prefix AND < successor`, which any ordered index serves.
    public static func successor(of prefix: String) -> String? {
        var scalars = Array(prefix.unicodeScalars)
        while let last = scalars.popLast() {
            // UTF-8 byte order is code point order; the surrogates between U+D7FF and U+E000 are no characters.
            let next = last.value == 0xD7FF ? 0xE000 : last.value + 1
            guard let scalar = Unicode.Scalar(next) else { continue }
            scalars.append(scalar)
            var text = String.UnicodeScalarView()
            text.append(contentsOf: scalars)
            return String(text)
        }
        return nil
    }
}
