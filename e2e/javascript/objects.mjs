// What a user of the AWS SDK for JavaScript does to objects: writes, reads in whole and in part, uploads in parts, lists by pages and deletes, with the
// bucket's name in the path or, given "virtual", in the host's. The endpoint comes from AWS_ENDPOINT_URL. Prints what it saw as JSON.
import { Agent } from "node:http";
import {
  CompleteMultipartUploadCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, NoSuchKey, paginateListObjectsV2,
  PutObjectCommand, S3Client, UploadPartCommand,
} from "@aws-sdk/client-s3";

const [Bucket, style] = process.argv.slice(2);
const virtual = style === "virtual";
const home = (host, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4)); // BUCKET.localhost, too
const s3 = new S3Client({
  forcePathStyle: !virtual,
  ...(virtual && { endpoint: process.env.AWS_ENDPOINT_URL.replace("127.0.0.1", "localhost"), requestHandler: { httpAgent: new Agent({ keepAlive: true, lookup: home }) } }),
});
const saw = {};
const hosts = new Set();
s3.middlewareStack.add((next) => (args) => { hosts.add(args.request.hostname); return next(args); }, { step: "finalizeRequest" });

await s3.send(new CreateBucketCommand({ Bucket }));
await s3.send(new PutObjectCommand({ Bucket, Key: "a b/ä+", Body: "0123456789", Metadata: { colour: "blue" } }));
const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a b/ä+" }));
saw.body = await got.Body.transformToString();
saw.metadata = got.Metadata;
const part = await s3.send(new GetObjectCommand({ Bucket, Key: "a b/ä+", Range: "bytes=3-5" }));
saw.range = [await part.Body.transformToString(), part.ContentRange];

const parts = [Buffer.alloc(5 << 20, "x"), Buffer.from("end")];
const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "large" }));
const Parts = [];
for (const [i, Body] of parts.entries()) {
  const { ETag, ChecksumCRC32 } = await s3.send(new UploadPartCommand({ Bucket, Key: "large", UploadId, PartNumber: i + 1, Body }));
  Parts.push({ PartNumber: i + 1, ETag, ChecksumCRC32 });
}
await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "large", UploadId, MultipartUpload: { Parts } }));
saw.size = (await s3.send(new HeadObjectCommand({ Bucket, Key: "large" }))).ContentLength;
saw.tail = await (await s3.send(new GetObjectCommand({ Bucket, Key: "large", Range: "bytes=-4" }))).Body.transformToString();

saw.keys = [];
for await (const page of paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket })) saw.keys.push(...(page.Contents ?? []).map((o) => o.Key));
const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: saw.keys.map((Key) => ({ Key })) } }));
saw.deleted = Deleted.length;
try {
  await s3.send(new GetObjectCommand({ Bucket, Key: "large" }));
} catch (e) {
  saw.gone = e instanceof NoSuchKey && e.message;
}
saw.hosts = [...hosts];
console.log(JSON.stringify(saw));
