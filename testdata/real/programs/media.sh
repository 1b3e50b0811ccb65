# flac, opusenc, ffmpeg, imagemagick: what is defined to the bit, to the bit; lossy sound by its length and its error.
# Not encoders whose rate control is in floats, which compilers contract on one machine and not on the other.
run="ffmpeg -hide_banner -nostdin -v error -y -flags +bitexact -idct simple"
exact="-map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -sws_flags +accurate_rnd+bitexact+full_chroma_int -dct fastint -threads 1"
$run -f lavfi -i 'aevalsrc=0.3*sin(2*PI*440*t)+0.2*random(1):s=44100:d=2' $exact -c:a pcm_s16le a.wav; sha256sum < a.wav
for level in 0 5 8; do flac -s -f -$level --no-padding -o a.flac a.wav; tail -c +400 a.flac | sha256sum; flac -s -d -f -o b.wav a.flac; cmp a.wav b.wav; flac -s -t a.flac; done
metaflac --show-md5sum --show-total-samples a.flac
for rate in 24 96; do
    opusenc --quiet --bitrate $rate --serial 1 a.wav a.opus && opusdec --quiet --rate 48000 --force-wav a.opus b.wav
    opusinfo a.opus | grep -c 'Opus stream'; wc -c < b.wav
    # Encoders differ in their last bits between machines: how many decibels the sound is above the error, roughly.
    python3 - $rate <<'X'
import array, math, subprocess, sys
def load(name): return array.array('h', subprocess.run(['ffmpeg', '-v', 'error', '-i', name, '-f', 's16le', '-ac', '1', '-ar', '44100', '-'], capture_output=True).stdout)
a, b = load('a.wav'), load('b.wav')
n = min(len(a), len(b)); error = sum((x - y) ** 2 for x, y in zip(a[:n], b[:n])); print(sys.argv[1], round(10 * math.log10(sum(x * x for x in a[:n]) / error) / 4))
X
done
video="-f lavfi -i testsrc2=s=176x144:r=10:d=1.5"
for codec in ffv1 mjpeg mpeg4 huffyuv png rawvideo h263 utvideo flashsv; do
    format=yuv420p
    case $codec in mjpeg) format=yuvj420p;; huffyuv | utvideo) format=yuv422p;; png) format=rgb24;; flashsv) format=bgr24;; esac
    $run $video $exact -c:v $codec -pix_fmt $format -qscale 4 $codec.mkv
    echo "$codec $(sha256sum < $codec.mkv | cut -c1-16) $($run -i $codec.mkv $exact -f framecrc - | sha256sum | cut -c1-16)"
done
$run $video -vf 'scale=88:72:flags=bicubic+accurate_rnd+bitexact,hflip,drawbox=10:10:20:20:red,transpose,format=rgb24' $exact -f framecrc - | sha256sum
for codec in pcm_s24be adpcm_ms adpcm_ima_wav flac alac wavpack tta g722; do
    $run -i a.wav $exact -c:a $codec -ar $([ $codec = g722 ] && echo 16000 || echo 44100) s.mka && echo "$codec $($run -i s.mka $exact -f crc -)"
done
convert-im6.q16 -size 96x64 -depth 8 gradient:red-blue -bordercolor green -border 5 a.ppm; sha256sum < a.ppm
for how in "-rotate 90" "-flip" "-crop 40x30+8+8 +repage" "-resize 48x32!" "-negate -colorspace Gray" "-quantize RGB -colors 8 +dither" "-blur 0x2" "-sharpen 0x1" "-edge 1" "-emboss 1" "-morphology Erode Diamond" "-level 20%,80%" "-modulate 110,50,120" "-draw 'circle 30,30 40,40'" "-roll +10+5" "-swirl 60"; do
    eval convert-im6.q16 a.ppm $how -depth 8 b.ppm && echo "$how $(sha256sum < b.ppm | cut -c1-16)"
done
for format in png gif bmp tiff pcx tga jpg; do convert-im6.q16 a.ppm -strip $format:b && convert-im6.q16 $format:b -depth 8 rgb:- | sha256sum; done; identify-im6.q16 -format '%w %h %[colorspace] %k\n' a.ppm; compare-im6.q16 -metric AE a.ppm b.ppm null: 2>&1; echo
